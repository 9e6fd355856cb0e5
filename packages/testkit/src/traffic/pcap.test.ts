import { VfmigError } from "@vfmig/core";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPcap } from "./pcap.ts";

interface Format {
  readonly littleEndian: boolean;
  readonly nanoseconds: boolean;
}

function capture(format: Format, frames: readonly Uint8Array[]): Uint8Array {
  const size = 24 + frames.reduce((sum, frame) => sum + 16 + frame.length, 0);
  const bytes = new Uint8Array(size);
  const data = new DataView(bytes.buffer);
  const le = format.littleEndian;
  data.setUint32(0, format.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, le);
  data.setUint16(4, 2, le);
  data.setUint16(6, 4, le);
  data.setUint32(16, 262_144, le);
  data.setUint32(20, 1, le);
  let at = 24;
  for (const [index, frame] of frames.entries()) {
    data.setUint32(at, 100, le);
    data.setUint32(at + 4, index * 250, le);
    data.setUint32(at + 8, frame.length, le);
    data.setUint32(at + 12, frame.length, le);
    bytes.set(frame, at + 16);
    at += 16 + frame.length;
  }
  return bytes;
}

const formats = fc.record({ littleEndian: fc.boolean(), nanoseconds: fc.boolean() });
const frameLists = fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 6 });

/** The frames, or none where the file is refused as it should be. */
function framesOf(bytes: Uint8Array): Uint8Array[] {
  try {
    return readPcap(bytes).frames.map((frame) => frame.bytes);
  } catch (error) {
    if (!VfmigError.is(error)) throw error;
    return [];
  }
}

describe("readPcap", () => {
  it("gives back the frames of either byte order and either resolution", () => {
    fc.assert(
      fc.property(formats, frameLists, (format, frames) => {
        const read = readPcap(capture(format, frames));
        expect(read.linkType).toBe(1);
        expect(read.frames.map(({ bytes }) => [...bytes])).toEqual(frames.map((f) => [...f]));
        const step = format.nanoseconds ? 0.25 : 250;
        for (const [index, { timeUs }] of read.frames.entries()) {
          expect(timeUs).toBeCloseTo(index * step, 1);
        }
      }),
    );
  });

  it("refuses a file cut at any byte inside its header or a record", () => {
    const whole = capture({ littleEndian: true, nanoseconds: false }, [
      new Uint8Array(5),
      new Uint8Array(7),
    ]);
    const between = new Set([24, 24 + 21]);
    for (let length = 0; length < whole.length; length++) {
      if (between.has(length)) continue;
      expect(() => readPcap(whole.subarray(0, length)), `cut at ${length}`).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_PCAP_FORMAT" }),
      );
    }
  });

  it("answers any bytes with frames inside the file or with its own error", () => {
    fc.assert(
      fc.property(formats, fc.uint8Array({ maxLength: 200 }), (format, tail) => {
        const bytes = new Uint8Array([...capture(format, []), ...tail]);
        const read = framesOf(bytes);
        for (const frame of read) {
          expect(frame.buffer).toBe(bytes.buffer);
          expect(frame.length).toBeLessThanOrEqual(tail.length);
        }
      }),
    );
  });
});
