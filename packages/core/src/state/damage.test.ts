import { describe, expect, it } from "vitest";
import { forge, format, header, records, save, slices } from "../../fixtures/device-state.ts";
import { ERROR_CODES } from "../errors/codes.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { frameCrc } from "./frame.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { createStateReader } from "./state-reader.ts";

interface Outcome {
  readonly error: VfmigError | undefined;
  readonly taken: readonly StateRecord[];
}

async function load(bytes: Uint8Array, step = bytes.length): Promise<Outcome> {
  const taken: StateRecord[] = [];
  const reader = createStateReader({
    format,
    onHeader() {},
    onRecord: (record) => void taken.push(record),
  });
  try {
    for (let at = 0; at < bytes.length; at += step) {
      await reader.write(bytes.subarray(at, at + step));
    }
    reader.finish();
  } catch (error) {
    if (!VfmigError.is(error)) throw error;
    expect(reader.complete).toBe(false);
    return { error, taken };
  }
  return { error: undefined, taken };
}

/** Which record a byte belongs to; the preamble is the header's. */
function recordAt(bytes: Uint8Array, at: number): { index: number; offset: number } {
  let found = { index: 0, offset: 0 };
  for (const [index, { offset }] of slices(bytes).entries()) {
    if (offset <= at) found = { index, offset };
  }
  return found;
}

function expectNamed(outcome: Outcome, place: { index: number; offset: number }): void {
  const { error } = outcome;
  expect(error?.code).toMatch(/^ERR_VFMIG_STATE_/u);
  expect(ERROR_CODES).toHaveProperty([error?.code ?? ""]);
  expect(error?.details).toMatchObject({ record: place.index, offset: place.offset });
  expect(error?.message).toContain(`record ${place.index} (type`);
  expect(error?.message).toContain(`at offset ${place.offset}`);
  // Only what stands before the damage was handed on.
  expect(outcome.taken).toEqual(records.slice(0, Math.max(place.index - 1, 0)));
}

/** The stream's parts as bytes: preamble, then one per record. */
function parts(bytes: Uint8Array): Uint8Array[] {
  const offsets = [0, ...slices(bytes).map(({ offset }) => offset), bytes.length];
  return offsets.slice(1).map((end, i) => bytes.slice(offsets[i], end));
}

function join(pieces: readonly (Uint8Array | undefined)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces.map((piece) => piece ?? new Uint8Array(0))));
}

describe("a damaged device state", () => {
  it("names the record in which it was cut off, at every byte", async () => {
    const bytes = await save();
    const names = ["header", "queue", "stats", "queue", "end"];
    for (let length = 0; length < bytes.length; length++) {
      const outcome = await load(bytes.slice(0, length), 7);
      const place = recordAt(bytes, length);
      expect(outcome.error?.code).toBe("ERR_VFMIG_STATE_TRUNCATED");
      expectNamed(outcome, place);
      const typed = length < 12 || length >= place.offset + 16;
      expect(outcome.error?.details["name"]).toBe(typed ? names[place.index] : undefined);
    }
  });

  it("names the record in which a bit was flipped, for every bit", async () => {
    const bytes = await save();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expectNamed(await load(flipped), recordAt(bytes, bit >> 3));
    }
  });

  it("names the record from which on records are swapped", async () => {
    const bytes = await save();
    const all = parts(bytes);
    for (let left = 1; left < all.length; left++) {
      for (let right = left + 1; right < all.length; right++) {
        const swapped = all.slice();
        swapped[left] = all[right] ?? new Uint8Array(0);
        swapped[right] = all[left] ?? new Uint8Array(0);
        const outcome = await load(join(swapped));
        expect(outcome.error?.code).toBe("ERR_VFMIG_STATE_ORDER");
        expectNamed(outcome, { index: left - 1, offset: slices(bytes)[left - 1]?.offset ?? 0 });
      }
    }
  });

  it("names the record that is repeated, wherever the copy stands", async () => {
    const bytes = await save();
    const all = parts(bytes);
    for (let which = 1; which < all.length; which++) {
      for (let before = 1; before <= all.length; before++) {
        const copy = all[which] ?? new Uint8Array(0);
        const outcome = await load(join([...all.slice(0, before), copy, ...all.slice(before)]));
        const last = before === all.length;
        // A copy put directly before its original is found when the original comes.
        const index = before === which ? before : before - 1;
        const offset = join(all.slice(0, before)).length + (before === which ? copy.length : 0);
        if (before === which && which === all.length - 1) {
          expect(outcome.error?.code).toBe("ERR_VFMIG_STATE_TRAILING");
        } else {
          expect(outcome.error?.code).toBe(
            last ? "ERR_VFMIG_STATE_TRAILING" : "ERR_VFMIG_STATE_ORDER",
          );
        }
        expectNamed(outcome, { index, offset });
      }
    }
  });

  it("names the record before which one was left out", async () => {
    const bytes = await save();
    const all = parts(bytes);
    for (let which = 1; which < all.length; which++) {
      const outcome = await load(join(all.filter((_, i) => i !== which)));
      const end = which === all.length - 1;
      expect(outcome.error?.code).toBe(end ? "ERR_VFMIG_STATE_TRUNCATED" : "ERR_VFMIG_STATE_ORDER");
      expectNamed(outcome, { index: which - 1, offset: slices(bytes)[which - 1]?.offset ?? 0 });
    }
  });

  it("is found by the end record where records were left out or added and numbered anew", async () => {
    const bytes = await save();
    const [first, queue, stats, second, end] = slices(bytes);
    if (!first || !queue || !stats || !second || !end) throw new Error("the fixture has changed");
    const miscounted = { ...end, payload: end.payload.slice() };
    miscounted.payload[miscounted.payload.length - 1] = 3;
    for (const forged of [
      forge(bytes, [first, queue, stats, second, miscounted]),
      forge(bytes, [first, queue, second, end]),
      forge(bytes, [first, queue, stats, stats, second, end]),
      forge(bytes, [first, end]),
    ]) {
      const { error } = await load(forged);
      const last = slices(forged).length - 1;
      expect(error?.code).toBe("ERR_VFMIG_STATE_ORDER");
      expect(error?.details).toMatchObject({ record: last, name: "end" });
    }
  });

  it("is refused where the header is missing, late, twice or optional, or flags are foreign", async () => {
    const bytes = await save();
    const [first, queue, , , end] = slices(bytes);
    if (!first || !queue || !end) throw new Error("the fixture has changed");
    const foreign = forge(bytes, [first]);
    foreign[12 + 2] = 3;
    const crc = frameCrc(foreign.subarray(12), first.payload);
    new DataView(foreign.buffer).setUint32(12 + 12, crc, true);
    const streams = [
      forge(bytes, [queue, first]),
      forge(bytes, [end]),
      forge(bytes, [first, first]),
      forge(bytes, [{ ...first, mandatory: false }]),
      forge(bytes, [first, { ...end, mandatory: false }]),
      foreign,
    ];
    for (const stream of streams) {
      expect((await load(stream)).error?.code).toBe("ERR_VFMIG_STATE_ORDER");
    }
    const { error } = await load(foreign);
    expect(error?.message).toContain("flags 0x3");
  });

  it("is refused where anything follows its end, at once or later", async () => {
    const bytes = await save();
    for (const step of [bytes.length + 1, bytes.length, 1]) {
      const outcome = await load(join([bytes, Uint8Array.of(0)]), step);
      expect(outcome.error?.code).toBe("ERR_VFMIG_STATE_TRAILING");
      expect(outcome.error?.message).toContain("record 5");
    }
  });

  it("is told apart from another file and from another format version", async () => {
    const bytes = await save();
    const newer = bytes.slice();
    newer[8] = 9;
    expect((await load(newer)).error?.code).toBe("ERR_VFMIG_STATE_FORMAT_VERSION");
    expect((await load(newer)).error?.message).toContain("format version 9");
    const other = await load(Buffer.from("#!/bin/sh\necho"));
    expect(other.error?.code).toBe("ERR_VFMIG_STATE_MAGIC");
    expect(header.stateVersion).toBe(2);
  });
});
