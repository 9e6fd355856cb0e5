import { VIRTCHNL_OP as OP, rxTail } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { IOVA, VF_KINDS, rigsOf } from "./testing/rig.ts";
import { inward, received } from "./testing/plain-frames.ts";

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("what becomes of frames that do not fit", () => {
    test("an empty ring drops; the tail is not passed, nor is it rounded up", () => {
      const rig = startedRig();
      rig.write(rxTail(0), 13);
      const verdicts = Array.from({ length: 9 }, () => rig.port.deliver(inward(64)));
      expect(verdicts).toEqual([...Array(8).fill("accepted"), "no-descriptor"]);
      expect(rig.rxBack(0, 8).low).toBe(0);
      expect(rig.model.truth.verdicts).toMatchObject({ accepted: 8, "no-descriptor": 1 });
    });

    test("a posted ring of 64 holds 56 frames, since the tail keeps multiples of eight", () => {
      const rig = startedRig();
      let accepted = 0;
      while (rig.port.deliver(inward(64)) === "accepted") accepted++;
      expect(accepted).toBe(56);
    });

    test("a stopped queue drops, at once and after", () => {
      const rig = startedRig();
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      expect(rig.port.deliver(inward(64))).toBe("queue-disabled");
      expect(rig.rxBack(0, 0).low).toBe(0);
    });

    test("enabled again it begins at place 0, wherever it stood", () => {
      const rig = startedRig();
      for (let count = 0; count < 3; count++) rig.port.deliver(inward(64));
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      rig.postAll(0);
      rig.answer(OP.ENABLE_QUEUES, rig.select(1));
      rig.port.deliver(inward(70, 5));
      expect(received(rig, 0)).toEqual(inward(70, 5));
    });

    test("a new context begins at place 0, also on a queue that runs", () => {
      const rig = startedRig();
      for (let count = 0; count < 3; count++) rig.port.deliver(inward(64));
      rig.postAll(0);
      rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
      rig.port.deliver(inward(70, 5));
      expect(received(rig, 0)).toEqual(inward(70, 5));
    });

    test("a frame above the queue's largest is refused", () => {
      const rig = startedRig();
      expect(rig.port.deliver(inward(9000))).toBe("accepted");
      expect(rig.port.deliver(inward(9001))).toBe("too-long");
      expect(rig.port.deliver(inward(10_000))).toBe("too-long");
    });

    test("a runt is nothing", () => {
      expect(startedRig().port.deliver(new Uint8Array(13))).toBe("filtered");
    });

    test("without bus mastering nothing is written", () => {
      const rig = startedRig();
      rig.setBusMaster(false);
      expect(rig.port.deliver(inward(64))).toBe("queue-disabled");
    });

    test("a buffer outside mapped memory stops the queue", () => {
      const rig = startedRig();
      rig.data.setUint32(rig.rxRing(0) + 4, 0xffff_ffff, true);
      expect(rig.port.deliver(inward(64))).toBe("dma-fault");
      expect(rig.port.deliver(inward(64))).toBe("queue-disabled");
      expect(rig.model.truth.dmaFaults).toBe(1);
    });

    test("a mapping that only allows reading is no place for a frame", async () => {
      const rig = startedRig();
      const range = { iova: BigInt(IOVA), size: BigInt(rig.memory.length) };
      await rig.device.unmapDma(range);
      await rig.device.mapDma({
        ...range,
        read: true,
        write: false,
        memory: { bytes: rig.memory },
      });
      expect(rig.port.deliver(inward(64))).toBe("dma-fault");
    });

    test("a buffer across two adjacent mappings is one buffer", async () => {
      const rig = startedRig();
      await rig.device.unmapDma({ iova: BigInt(IOVA), size: BigInt(rig.memory.length) });
      const middle = rig.rxBuffer(0, 1);
      for (const [from, to] of [
        [0, middle],
        [middle, rig.memory.length],
      ] as const) {
        await rig.device.mapDma({
          iova: BigInt(IOVA + from),
          size: BigInt(to - from),
          read: true,
          write: true,
          memory: { bytes: rig.memory.subarray(from, to) },
        });
      }
      rig.data.setUint32(rig.rxRing(0), (IOVA + middle - 50) >>> 0, true);
      expect(rig.port.deliver(inward(100, 6))).toBe("accepted");
      expect(rig.memory.slice(middle - 50, middle + 50)).toEqual(inward(100, 6));
    });
  });
});
