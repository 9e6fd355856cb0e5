import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_FRAME, MIN_FRAME } from "./ethernet.ts";
import {
  markFrame,
  MAX_MARKED_FRAME,
  readTrailer,
  removeTrailer,
  type Trailer,
} from "./trailer.ts";

const contents = fc.uint8Array({ minLength: 14, maxLength: 200 });
const flows = fc.integer({ min: 0, max: 0xffff });
const sequences = fc.integer({ min: 0, max: 0xffff_ffff });

function blank(): Trailer {
  return { flow: -1, sequence: -1, length: -1 };
}

describe("the sequence trailer", () => {
  it("comes back with flow, sequence and the frame as it was", () => {
    fc.assert(
      fc.property(contents, flows, sequences, (content, flow, sequence) => {
        const marked = markFrame(content, flow).stamp(sequence);
        const trailer = blank();
        expect(readTrailer(marked, trailer)).toBe("ok");
        expect(trailer).toEqual({ flow, sequence, length: content.length });
        expect([...removeTrailer(marked, trailer)]).toEqual([...content]);
      }),
    );
  });

  it("keeps marked frames between what a NIC would pad and what iavf lets through", () => {
    expect(markFrame(new Uint8Array(14), 0).stamp(0).length).toBe(MIN_FRAME);
    expect(markFrame(new Uint8Array(44), 0).stamp(0).length).toBe(MIN_FRAME);
    expect(markFrame(new Uint8Array(MAX_FRAME), 0).stamp(0).length).toBe(MAX_MARKED_FRAME);
    expect(MAX_MARKED_FRAME).toBeLessThanOrEqual(1534);
  });

  it("sees every single changed bit of a frame", () => {
    const marked = markFrame(
      Uint8Array.from({ length: 30 }, (_, i) => i),
      3,
    ).stamp(77);
    for (let bit = 0; bit < marked.length * 8; bit++) {
      const copy = marked.slice();
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(readTrailer(copy, blank()), `bit ${bit}`).not.toBe("ok");
    }
  });

  it("refuses frames that no trailer fits, and flows that no trailer can name", () => {
    const refused = expect.objectContaining({ code: "ERR_VFMIG_TRAFFIC_FRAME" });
    expect(() => markFrame(new Uint8Array(13), 0)).toThrow(refused);
    expect(() => markFrame(new Uint8Array(MAX_FRAME + 1), 0)).toThrow(refused);
    expect(() => markFrame(new Uint8Array(60), 65_536)).toThrow(refused);
  });
});
