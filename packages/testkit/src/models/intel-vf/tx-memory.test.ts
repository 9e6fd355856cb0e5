import { TX_COMMAND } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IOVA, VF_KINDS, rigsOf } from "./testing/rig.ts";
import { outward } from "./testing/plain-frames.ts";

const { EOP } = TX_COMMAND;

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("memory", () => {
    test("no fetch without bus mastering, and work goes on with it", () => {
      const rig = startedRig();
      rig.putTx(0, 0, outward(64));
      rig.setBusMaster(false);
      rig.kickTx(0, 1);
      expect(rig.port.sent).toEqual([]);
      rig.setBusMaster(true);
      rig.clock.runSoon();
      expect(rig.port.sent).toHaveLength(1);
    });

    test("a buffer outside mapped memory stops the queue", () => {
      const rig = startedRig();
      const place = rig.putTx(0, 0, outward(64));
      rig.data.setUint32(place + 4, 0xffff_ffff, true);
      rig.putTx(0, 1, outward(64));
      rig.kickTx(0, 2);
      expect([rig.port.sent.length, rig.model.truth.dmaFaults]).toEqual([0, 1]);
      rig.kickTx(0, 3);
      expect(rig.model.truth.dmaFaults).toBe(1);
    });

    test("a ring whose memory was unmapped stops the queue", async () => {
      const rig = startedRig();
      rig.putTx(0, 0, outward(64));
      await rig.device.unmapDma({ iova: BigInt(IOVA), size: BigInt(rig.memory.length) });
      rig.kickTx(0, 1);
      expect([rig.port.sent.length, rig.model.truth.dmaFaults]).toEqual([0, 1]);
    });

    test("writes only the ring pages of reported descriptors", () => {
      const rig = startedRig();
      rig.model.truth.clearWrittenPages();
      rig.putTx(0, 0, outward(64), EOP);
      rig.kickTx(0, 1);
      expect(rig.model.truth.writtenPages()).toEqual([]);
      rig.putTx(0, 1, outward(64));
      rig.kickTx(0, 2);
      expect(rig.model.truth.writtenPages()).toEqual([(0x1_4000_0000 + rig.txRing(0)) / 4096]);
    });

    test("no bytes in a ring make the device throw or write elsewhere", () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ minLength: 64 * 16, maxLength: 64 * 16 }),
          fc.integer({ min: 0, max: 0x1fff }),
          fc.boolean(),
          (bytes, tail, plausible) => {
            const rig = startedRig(1, { spoofCheck: false });
            rig.model.truth.clearWrittenPages();
            rig.memory.set(bytes, rig.txRing(0));
            for (let at = 0; at < (plausible ? 64 : 0); at++) {
              const place = rig.txRing(0) + at * 16;
              const address = 0x1_4000_0000 + rig.txBuffer(0, at & 7);
              rig.data.setUint32(place, address >>> 0, true);
              rig.data.setUint32(place + 4, 1, true);
              const low = rig.data.getUint32(place + 8, true);
              rig.data.setUint32(place + 8, (low & ~0xf) | (at % 5 === 0 ? 1 : 0), true);
            }
            rig.kickTx(0, tail);
            const ring = (0x1_4000_0000 + rig.txRing(0)) / 4096;
            for (const page of rig.model.truth.writtenPages()) expect(page).toBe(ring);
            for (const sent of rig.port.sent) expect(sent.length).toBeGreaterThanOrEqual(60);
          },
        ),
        { numRuns: 150 },
      );
    });
  });
});
