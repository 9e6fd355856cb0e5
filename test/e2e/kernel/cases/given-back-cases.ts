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
];
