import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fileOf, oneOfEach, packed, recordingOf, unpacked } from "../testing/recordings.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { RecordedEvent } from "./events.ts";
import { readRecording, type Recording } from "./recording.ts";

/** The recording, or the code of the refusal; anything else than a refusal by that code is thrown. */
async function read(file: Uint8Array): Promise<Recording | "refused"> {
  try {
    return await readRecording(file);
  } catch (error) {
    if (VfmigError.is(error) && error.code === "ERR_VFMIG_RECORDING_FORMAT") return "refused";
    throw error;
  }
}

const malformed = { code: "ERR_VFMIG_RECORDING_FORMAT", layer: "core" };

describe("a recording's file", () => {
  it("gives back every kind of event, and the header", async () => {
    const recording = recordingOf(oneOfEach, "transparent");
    expect(await readRecording(await fileOf(recording))).toEqual(recording);
  });

  it("tells with which options the driver was to run, so that a replay can be the same", async () => {
    const configured = { package: "nic", options: { shadow: "while-saving", n: [1, { a: null }] } };
    const recording = { ...recordingOf([], "active"), configured };
    expect(await readRecording(await fileOf(recording))).toEqual(recording);
  });

  it("says that input is not in it where its header does not speak of any", async () => {
    const recording = recordingOf([], "base", false);
    expect(await readRecording(await fileOf(recording))).toMatchObject({ input: false });
  });

  it("keeps why it ended before the device did", async () => {
    const file = await fileOf({ ...recordingOf(oneOfEach), ended: "the disk was full" });
    expect(await readRecording(file)).toMatchObject({ ended: "the disk was full" });
  });

  it("is read up to where it was cut off, at whichever byte, or refused", async () => {
    const recording = recordingOf(oneOfEach);
    const file = await fileOf(recording);
    let most = 0;
    for (let length = 0; length < file.length; length++) {
      const found = await read(file.subarray(0, length));
      if (found === "refused") continue;
      expect(found.ended).toBe("the file was cut off");
      expect(found.events).toEqual(recording.events.slice(0, found.events.length));
      most = Math.max(most, found.events.length);
    }
    expect(most).toBe(recording.events.length);
  });

  it("is refused with any bit of it flipped, or tells less, and never anything else", async () => {
    const recording = recordingOf(oneOfEach);
    const file = await fileOf(recording);
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.nat(7), async (at, bit) => {
        const damaged = file.slice();
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        const found = await read(damaged);
        // A length that is too large by now looks like the end of a file that was cut off.
        if (found === "refused") return;
        expect(found.events).toEqual(recording.events.slice(0, found.events.length));
        if (found.events.length < recording.events.length) expect(found.ended).toBeDefined();
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["nothing", new Uint8Array(0)],
    ["text", new TextEncoder().encode("this is no recording, though it is long enough for one")],
  ])("is refused where it is %s", async (_, bytes) => {
    await expect(readRecording(bytes)).rejects.toMatchObject(malformed);
  });

  const step = (op: number): RecordedEvent => ({
    kind: "read",
    op,
    region: 0,
    offset: 0,
    data: new Uint8Array(4),
  });

  it.each([
    ["a step is left out", [step(0), step(2)]],
    ["steps go back", [step(0), step(1), step(0)]],
    ["something happens after a step to come", [step(0), { kind: "turn", op: 5 }]],
  ] satisfies readonly (readonly [string, readonly RecordedEvent[]])[])(
    "is refused where %s",
    async (_, events) => {
      const file = await fileOf(recordingOf(events));
      await expect(readRecording(file)).rejects.toMatchObject(malformed);
    },
  );
});

describe("a batch of events", () => {
  it("is refused where it ends within an event, at whichever byte", () => {
    for (const event of oneOfEach) {
      const batch = packed([event]);
      for (let length = 1; length < batch.length; length++) {
        expect(() => unpacked([batch.subarray(0, length)])).toThrow(
          expect.objectContaining(malformed),
        );
      }
    }
  });

  it("is unpacked or refused, whatever stands in it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        // Kinds and small lengths, so that more than the first byte is looked at.
        const batch = bytes.map((byte, i) => (i % 3 === 0 ? byte % 13 : byte % 4));
        try {
          unpacked([batch]);
        } catch (error) {
          expect(VfmigError.is(error)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("is refused with an address that is none, and with an intended change beyond a page", () => {
    const memory = packed([{ kind: "device-memory", op: 0, iova: 0, data: Uint8Array.of(1) }]);
    new DataView(memory.buffer).setFloat64(5, -1, true);
    expect(() => unpacked([memory])).toThrow("-1 is no address");
    const change = { iova: 0, mask: new Uint8Array(4097), why: "" };
    expect(() => unpacked([packed([{ kind: "intended", op: 0, change }])])).toThrow("too long");
  });
});
