import assert from "node:assert/strict";
import type { VfioUserClient } from "@vfmig/vfio-user";
import type { BedCase } from "../inside/bed-case.ts";
import { DEVICES } from "../inside/devices.ts";
import { UART } from "../inside/mtty.ts";
import { serve } from "../inside/serving.ts";

const ROUNDS = 6;
const BAR = 0;

async function get(client: VfioUserClient, register: number): Promise<number> {
  const byte = new Uint8Array(1);
  await client.readRegion(BAR, register, byte);
  return byte[0] ?? 0;
}

function set(client: VfioUserClient, register: number, value: number): Promise<void> {
  return client.writeRegion(BAR, register, Uint8Array.of(value));
}

/** Passes on what the source has until it says that there is no more, for now or at all. */
async function pass(from: VfioUserClient, state: Uint8Array[]): Promise<number> {
  const chunk = new Uint8Array(16);
  let bytes = 0;
  for (;;) {
    const count = (await from.migration?.readData(chunk)) ?? 0;
    if (count === 0) return bytes;
    state.push(chunk.slice(0, count));
    bytes += count;
  }
}

/** Moves a device whose registers change between the first copy and the last. */
async function move(
  source: VfioUserClient,
  target: VfioUserClient,
  round: number,
): Promise<{ readonly early: number; readonly late: number }> {
  const scratch = 0x10 + round;
  const line = round % 4;
  await set(source, UART.SCRATCH, 0xff - round);
  await set(source, UART.LCR, 3 - line);
  const state: Uint8Array[] = [];
  await source.migration?.setState("pre-copy");
  const early = await pass(source, state);
  await set(source, UART.SCRATCH, scratch);
  await set(source, UART.LCR, line);
  await source.migration?.setState("stop-copy");
  const late = await pass(source, state);
  await target.migration?.setState("resuming");
  for (const piece of state) await target.migration?.writeData(piece);
  await target.migration?.setState("running");
  assert.equal(await get(target, UART.SCRATCH), scratch, "scratch register");
  assert.equal(await get(target, UART.LCR), line, "line control register");
  await source.migration?.setState("running");
  return { early, late };
}

export const cases: readonly BedCase[] = [
  {
    name: "one that is served by vfio-user moves with registers that change during PRE_COPY",
    limitSeconds: 270,
    async run() {
      const entries = DEVICES.mdevs.map((uuid, index) => ({
        name: `uart${index}`,
        base: { package: "@vfmig/vfio-pci-base", options: { uuid } },
      }));
      await using serving = await serve(entries);
      const { clients } = serving;
      const [first, second] = clients;
      assert.ok(first?.migration && second?.migration, "the kernel's migration is passed on");
      const { preCopy, p2p } = first.migration.capabilities;
      assert.deepEqual({ preCopy, p2p }, { preCopy: true, p2p: true });
      let sizes = { early: 0, late: 0 };
      for (let round = 0; round < ROUNDS; round += 1) {
        const [source, target] = round % 2 === 0 ? [first, second] : [second, first];
        sizes = await move(source, target, round);
      }
      assert.ok(sizes.early > 0 && sizes.late > 0, "both copies carried something");
      return { moves: ROUNDS, "bytes before": sizes.early, "bytes after": sizes.late };
    },
  },
];
