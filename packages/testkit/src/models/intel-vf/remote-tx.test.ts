import { TX_DESCRIPTOR_SIZE, VIRTCHNL_OP as OP, txTail } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { must } from "./testing/frames.ts";
import { VF_KINDS, rigsOf, type Rig } from "./testing/rig.ts";
import { settled, withoutFile } from "./testing/remote-memory.ts";
import { outward } from "./testing/plain-frames.ts";

/** Whether transmit descriptor `index` was reported. */
function sentBack(rig: Rig, index: number): boolean {
  return (must(rig.memory[rig.txRing(0) + index * TX_DESCRIPTOR_SIZE + 8]) & 0xf) === 0xf;
}

describe.each(VF_KINDS)("%s, guest memory that came without a file", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("transmit", () => {
    test("frames leave in order, and the interrupt comes after the write-back", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      rig.signals.length = 0;
      const frames = [60, 500, 1400].map((size, index) => outward(size, index + 1));
      for (const [index, frame] of frames.entries()) rig.putTx(0, index, frame);
      memory.hold = true;
      rig.write(txTail(0), frames.length);
      for (let round = 0; round < 20 && !sentBack(rig, 0); round++) {
        await settled(rig, memory);
        expect(rig.signals[1] ?? 0).toBe(0);
        memory.release();
        await Promise.resolve();
      }
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      expect(rig.port.sent).toEqual(frames);
      expect([0, 1, 2, 3].map((index) => sentBack(rig, index))).toEqual([true, true, true, false]);
      expect(rig.signals[1]).toBeGreaterThan(0);
    });

    test("a frame of several buffers is gathered", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      const frame = outward(1000, 7);
      rig.putTx(0, 0, frame.subarray(0, 14), 0);
      rig.putTx(0, 1, frame.subarray(14, 600), 0);
      rig.putTx(0, 2, frame.subarray(600));
      rig.write(txTail(0), 3);
      await settled(rig, memory);
      expect(rig.port.sent).toEqual([frame]);
    });

    test("what stood before a packet that breaks the rules is still reported", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      rig.putTx(0, 0, outward(60));
      rig.putTx(0, 1, new Uint8Array(10));
      rig.write(txTail(0), 2);
      await settled(rig, memory);
      expect(rig.model.truth.maliciousEvents).toBe(1);
      expect(rig.port.sent.length).toBe(1);
      expect([sentBack(rig, 0), sentBack(rig, 1)]).toEqual([true, false]);
    });

    test("a packet whose buffer the client refuses stops its queue and no other", async () => {
      const rig = startedRig(2);
      const memory = withoutFile(rig);
      memory.refuse = ({ at }) => at === rig.txBuffer(0, 0);
      for (const queue of [0, 1]) rig.putTx(queue, 0, outward(60, queue));
      for (const queue of [0, 1]) rig.write(txTail(queue), 1);
      await settled(rig, memory);
      expect(rig.port.sent).toEqual([outward(60, 1)]);
      expect(sentBack(rig, 0)).toBe(false);
      expect(rig.model.truth.dmaFaults).toBe(1);
    });

    test("queues that are always busy have their turn one after the other", async () => {
      const rig = startedRig(2);
      const memory = withoutFile(rig);
      for (const queue of [0, 1]) {
        for (let index = 0; index < 8; index++) rig.putTx(queue, index, outward(60, queue));
        rig.write(txTail(queue), 8);
      }
      await settled(rig, memory);
      const order = rig.port.sent.map((frame) => must(frame[20]));
      expect(order.length).toBe(16);
      expect(order.slice(0, 4)).toEqual([0, 1, 0, 1]);
    });

    test("a queue that is stopped meanwhile sends and reports nothing more", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig, 0x80000);
      memory.hold = true;
      rig.putTx(0, 0, outward(60));
      rig.write(txTail(0), 1);
      await settled(rig, memory);
      expect(memory.pending).toBe(1);
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      expect(rig.port.sent).toEqual([]);
      expect(memory.log.filter(({ access }) => access === "write")).toEqual([]);
    });
  });
});
