import assert from "node:assert/strict";
import { createLinuxIo } from "@vfmig/linux";
import type { BedCase, Figures } from "../inside/bed-case.ts";
import { restoreNic } from "../inside/binding.ts";
import { DEVICES } from "../inside/devices.ts";
import { serve } from "../inside/serving.ts";
import { HostWish, takeBack } from "../inside/taken-back.ts";
import { Echo } from "../native-speed/echo.ts";
import { EchoGuest } from "../native-speed/guest.ts";

const FRAMES = 200;
/** On their way at once. */
const WINDOW = 8;
const INTERVAL_MS = 40;
const LIMIT_MS = 60_000;

const baseOf = (address: string) => ({
  package: "@vfmig/vfio-pci-base",
  options: { address },
});

/**
 * A driver sends and receives while another VF takes the place of the one that it uses, and back; at last the PF takes
 * both.
 */
async function replaceVf(): Promise<Figures> {
  const driver = { package: "@vfmig/plugin-igb", options: { quiesceMs: 0 } };
  const [first, second] = DEVICES.vfs;
  const entries = [
    { name: "vf", base: baseOf(first), driver },
    { name: "spare", base: baseOf(second), driver, standby: true },
  ];
  await using serving = await serve(entries);
  await using stack = new AsyncDisposableStack();
  const { host, clients } = serving;
  const [client] = clients;
  assert.ok(client, "the device is served");
  const io = createLinuxIo();
  stack.use(new Echo(io, DEVICES.lan.tap));
  const guest = stack.use(await EchoGuest.start(io, client.device));
  await guest.exchange(FRAMES, WINDOW, LIMIT_MS);
  // Asked for once, of whichever device is there.
  using wish = await HostWish.listen(client);
  const windows: number[] = [];
  const counts = { sent: 0, back: 0 };
  for (const name of ["spare", "vf"]) {
    const end = new AbortController();
    const streaming = guest.stream(INTERVAL_MS, end.signal);
    const { outcome, identity } = await host.replace("vf", name);
    end.abort();
    const { sent, back } = await streaming;
    // Told where the case fails.
    console.log(JSON.stringify({ name, outcome, sent, back }));
    counts.sent += sent;
    counts.back += back;
    windows.push(outcome.windowMs);
    assert.equal(identity.device, name);
    assert.equal(identity.driver?.name, "igb-vf");
    assert.ok(sent > 0, "the driver went on");
    // From here on nothing may be lost.
    await guest.exchange(FRAMES, WINDOW, LIMIT_MS);
  }
  await takeBack(host, client, wish, async () => {
    await guest[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  });
  return {
    "window, ms": windows.map(Math.round).join(" and "),
    "frames sent meanwhile": counts.sent,
    "of these came back": counts.back,
  };
}

export const cases: readonly BedCase[] = [
  {
    name: "a VF is replaced by another of its PF, and back, behind one connection under traffic, and given back when its PF takes it",
    limitSeconds: 300,
    async run() {
      try {
        return await replaceVf();
      } finally {
        restoreNic();
      }
    },
  },
];
