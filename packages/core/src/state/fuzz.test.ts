import { describe, expect, it } from "vitest";
import { format, save } from "../../fixtures/device-state.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { FRAME, PREAMBLE } from "./layout.ts";
import { frameCrc } from "./frame.ts";
import { inspectState } from "./inspect.ts";
import { renderState } from "./render-state.ts";
import { createStateReader } from "./state-reader.ts";

// Long: VFMIG_FUZZ_RUNS=1000000. Again: VFMIG_FUZZ_SEED=<the printed seed>.
const RUNS = Number(process.env["VFMIG_FUZZ_RUNS"] ?? 2000);
const SEED = Number(process.env["VFMIG_FUZZ_SEED"] ?? Date.now() % 2 ** 32);

/** mulberry32, by T. Ettinger (public domain). */
function createRandom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Makes the checksums right again, so that what is behind them is reached. */
function reseal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at: number = PREAMBLE.size; at + FRAME.size <= bytes.length;) {
    const end = at + FRAME.size + view.getUint32(at + FRAME.length, true);
    if (end > bytes.length) return;
    const crc = frameCrc(bytes.subarray(at), bytes.subarray(at + FRAME.size, end));
    view.setUint32(at + FRAME.crc, crc, true);
    at = end;
  }
}

describe(`a device state of random bytes (seed ${SEED}, ${RUNS} runs)`, () => {
  it(
    "is taken or refused by a named error, and can be shown either way",
    { timeout: 20_000 + RUNS * 5 },
    async () => {
      const random = createRandom(SEED);
      const sound = await save();
      let refused = 0;
      for (let run = 0; run < RUNS; run++) {
        const wild = run % 4 === 0;
        const bytes = wild ? new Uint8Array(random(300)).map(() => random(256)) : sound.slice();
        if (wild) bytes.set(sound.subarray(0, random(bytes.length + 1)));
        for (let n = random(4); n >= 0; n--) {
          const at = run % 3 === 0 ? random(bytes.length) : PREAMBLE.size + random(bytes.length);
          if (at < bytes.length) bytes[at] = random(256);
        }
        if (run % 2 === 0) reseal(bytes);
        const reader = createStateReader({ format, onHeader() {}, onRecord() {} });
        try {
          for (let at = 0; at < bytes.length;) {
            const end = at + 1 + random(bytes.length);
            await reader.write(bytes.subarray(at, end));
            at = end;
          }
          reader.finish();
        } catch (error) {
          if (!VfmigError.is(error)) throw error;
          expect(error.code).toMatch(/^ERR_VFMIG_STATE_/u);
          refused += 1;
        }
        const tree = inspectState(bytes, format);
        expect(tree.sound).toBe(reader.complete);
        expect(renderState(tree)).toMatch(/sound\n$/iu);
      }
      expect(refused).toBeGreaterThan(RUNS / 2);
    },
  );
});
