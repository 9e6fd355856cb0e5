import assert from "node:assert/strict";
import type { BedCase } from "../inside/bed-case.ts";
import { restoreNic } from "../inside/binding.ts";
import { DEVICES } from "../inside/devices.ts";
import { serve } from "../inside/serving.ts";
import { HostWish, takeBack } from "../inside/taken-back.ts";

async function giveBackBoth(): Promise<void> {
  const entries = DEVICES.vfs.map((address, index) => ({
    name: `vf${index}`,
    base: { package: "@vfmig/vfio-pci-base", options: { address } },
  }));
  await using serving = await serve(entries);
  const [used, unused] = serving.clients;
  assert.ok(used && unused, "both are served");
  await unused[Symbol.asyncDispose]();
  using wish = await HostWish.listen(used);
  await takeBack(serving.host, used, wish);
}

/** The machine's wish reaches the user of a device that stands on another server's, and goes back the same way. */
async function giveBackChained(): Promise<void> {
  const card = {
    name: "card",
    base: { package: "@vfmig/vfio-pci-base", options: { address: DEVICES.vfs[0] } },
  };
  const chained = {
    name: "chained",
    base: { package: "@vfmig/vfio-user/base", options: { device: "card" } },
  };
  await using serving = await serve([chained, card], false, (name) => name === "chained");
  const [client] = serving.clients;
  assert.ok(client, "the chained device is served");
  using wish = await HostWish.listen(client);
  await takeBack(serving.host, client, wish);
}

export const cases: readonly BedCase[] = [
  {
    name: "VFs that their PF takes are given back: one without a client at once, the other when its client has gone",
    limitSeconds: 200,
    async run() {
      try {
        await giveBackBoth();
      } finally {
        restoreNic();
      }
    },
  },
  {
    name: "a VF that another server has as its base is given back when that server's client has gone",
    limitSeconds: 200,
    async run() {
      try {
        await giveBackChained();
      } finally {
        restoreNic();
      }
    },
  },
];
