import { VIRTCHNL_OP as OP, rxTail } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IOVA, VF_KINDS, rigsOf } from "./testing/rig.ts";

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("whatever comes from the wire and stands in the ring", () => {
    test("never makes the device throw or write outside posted buffers and ring", () => {
      fc.assert(
        fc.property(
          fc.array(fc.uint8Array({ minLength: 0, maxLength: 3000 }), { maxLength: 30 }),
          fc.array(fc.integer({ min: 0, max: 0x1fff }), { maxLength: 5 }),
          (frames, tails) => {
            const rig = startedRig(1, { trusted: true }, 64, 256);
            rig.answer(OP.CONFIG_PROMISCUOUS_MODE, new Uint8Array([rig.vsiId, 0, 3, 0]));
            rig.model.truth.clearWrittenPages();
            const allowed = new Set(
              [rig.rxRing(0), ...Array.from({ length: 64 }, (_, i) => rig.rxBuffer(0, i))].map(
                (at) => (IOVA + at) / 4096,
              ),
            );
            for (const [index, bytes] of frames.entries()) {
              rig.port.deliver(bytes);
              const tail = tails[index];
              if (tail !== undefined) rig.write(rxTail(0), tail);
              rig.clock.runSoon();
            }
            for (const page of rig.model.truth.writtenPages()) expect(allowed.has(page)).toBe(true);
          },
        ),
        { numRuns: 60 },
      );
    });
  });
});
