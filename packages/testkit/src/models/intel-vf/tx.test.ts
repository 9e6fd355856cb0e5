import { TX_COMMAND, TX_CONTEXT_COMMAND, VIRTCHNL_OP as OP, txDone, txTail } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { must, tagged } from "./testing/frames.ts";
import { VF_KINDS, rigsOf } from "./testing/rig.ts";
import { outward } from "./testing/plain-frames.ts";

const { EOP, RS } = TX_COMMAND;

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("plain frames", () => {
    test("may be spread over eight descriptors; only those with RS are written back, in ring order", () => {
      const rig = startedRig();
      const whole = outward(800, 3);
      const places = Array.from({ length: 8 }, (_, index) =>
        rig.putTx(
          0,
          index,
          whole.slice(index * 100, index * 100 + 100),
          index === 7 ? EOP | RS : 0,
        ),
      );
      rig.kickTx(0, 8);
      expect(rig.port.sent).toEqual([whole]);
      expect(places.map((place) => txDone(rig.data, place))).toEqual([
        ...Array(7).fill(false),
        true,
      ]);
    });

    test("wait for their last descriptor to come before the tail", () => {
      const rig = startedRig();
      rig.putTx(0, 0, outward(100), 0);
      rig.kickTx(0, 1);
      expect(rig.port.sent).toEqual([]);
      rig.putTx(0, 1, new Uint8Array(20));
      rig.kickTx(0, 2);
      expect(rig.port.sent).toHaveLength(1);
      expect(rig.port.sent[0]).toHaveLength(120);
    });

    test("shorter than 60 bytes are padded with zeros", () => {
      const rig = startedRig();
      rig.putTx(0, 0, outward(100, 0xff));
      rig.putTx(0, 1, outward(20, 0xee));
      rig.kickTx(0, 2);
      expect(rig.port.sent[1]).toHaveLength(60);
      expect(must(rig.port.sent[1]).slice(20)).toEqual(new Uint8Array(40));
    });

    test("go around the ring's end many times", () => {
      const rig = startedRig(1, {}, 64);
      for (let count = 0, tail = 0; count < 200; count++) {
        rig.putTx(0, tail, outward(64, count));
        tail = (tail + 1) % 64;
        rig.kickTx(0, tail);
      }
      expect(rig.port.sent.map((sent) => sent[20])).toEqual(
        Array.from({ length: 200 }, (_, count) => count),
      );
    });

    test("raise the queue's vector once they are reported, and not without RS", () => {
      const rig = startedRig();
      rig.putTx(0, 0, outward(64), EOP);
      rig.kickTx(0, 1);
      expect(rig.port.sent).toHaveLength(1);
      expect(rig.signals[1]).toBeUndefined();
      rig.putTx(0, 1, outward(64));
      rig.kickTx(0, 2);
      expect(rig.signals[1]).toBe(1);
    });

    test.runIf(kind === "i40e-vf")("of a queue without vector raise nothing", () => {
      const rig = startedRig(2);
      rig.answer(OP.CONFIG_IRQ_MAP, rig.irqMap(1));
      const unmap = rig.irqMap(2);
      new DataView(unmap.buffer).setUint16(2 + 12 + 4, 0, true);
      new DataView(unmap.buffer).setUint16(2 + 12 + 6, 0, true);
      rig.answer(OP.CONFIG_IRQ_MAP, unmap);
      rig.putTx(1, 0, outward(64));
      rig.kickTx(1, 1);
      expect(rig.port.sent).toHaveLength(1);
      expect(rig.signals[2]).toBeUndefined();
    });

    test("take turns between queues, and a long ring takes more than one turn", () => {
      const rig = startedRig(2, {}, 512);
      for (let index = 0; index < 300; index++) rig.putTx(0, index % 64, outward(64, 1));
      for (let index = 0; index < 300; index++) {
        rig.memory.copyWithin(rig.txRing(0) + index * 16, rig.txRing(0), rig.txRing(0) + 16);
      }
      rig.putTx(1, 0, outward(64, 2));
      rig.write(txTail(0), 300);
      rig.write(txTail(1), 1);
      rig.clock.runSoon(1);
      expect(rig.port.sent).toHaveLength(257);
      expect(rig.port.sent.at(-1)?.[20]).toBe(2);
      rig.clock.runSoon();
      expect(rig.port.sent).toHaveLength(301);
    });
  });

  describe("descriptors that send nothing", () => {
    test("DUMMY descriptors are consumed and reported, and nothing is on the wire", () => {
      const rig = startedRig();
      const places = [0, 1, 2].map((index) =>
        rig.putTx(0, index, outward(64), EOP | RS | TX_COMMAND.DUMMY),
      );
      rig.putTx(0, 3, outward(64, 9));
      rig.kickTx(0, 4);
      expect(rig.port.sent).toEqual([outward(64, 9)]);
      expect(places.every((place) => txDone(rig.data, place))).toBe(true);
      expect(rig.model.truth.idleDescriptors).toBe(3);
      expect(rig.model.truth.maliciousEvents).toBe(0);
    });

    test("a DUMMY needs no buffer in memory, since none is read", () => {
      const rig = startedRig();
      const place = rig.putTx(0, 0, outward(64), EOP | RS | TX_COMMAND.DUMMY);
      rig.data.setUint32(place + 4, 0xffff_ffff, true);
      rig.kickTx(0, 1);
      expect(rig.model.truth.dmaFaults).toBe(0);
    });

    test("empty context descriptors are consumed, before a frame and alone", () => {
      const rig = startedRig();
      rig.putContext(0, 0, {});
      rig.kickTx(0, 1);
      rig.putContext(0, 1, {});
      rig.putContext(0, 2, {});
      rig.putTx(0, 3, outward(64));
      rig.kickTx(0, 4);
      expect(rig.port.sent).toHaveLength(1);
      expect(rig.model.truth.idleDescriptors).toBe(3);
    });

    test("bring the ring to any index, from which frames go on", () => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 63 }), (index) => {
          const rig = startedRig();
          for (let at = 0; at < index; at++) {
            rig.putTx(0, at, outward(64), EOP | RS | TX_COMMAND.DUMMY);
          }
          rig.kickTx(0, index);
          rig.putTx(0, index, outward(64, index + 1));
          rig.kickTx(0, (index + 1) % 64);
          expect(rig.port.sent).toEqual([outward(64, index + 1)]);
        }),
        { numRuns: 12 },
      );
    });
  });

  describe("tags", () => {
    test("a tag of the data descriptor is inserted behind the addresses", () => {
      const rig = startedRig();
      rig.putTx(0, 0, outward(64), EOP | RS | TX_COMMAND.IL2TAG1, 0x6005);
      rig.kickTx(0, 1);
      expect(rig.port.sent).toEqual([tagged(outward(64), 0x6005)]);
    });

    test.runIf(kind === "i40e-vf")("a tag of the context descriptor goes outside it", () => {
      const rig = startedRig();
      rig.putContext(0, 0, { command: TX_CONTEXT_COMMAND.IL2TAG2, tag2: 77 });
      rig.putTx(0, 1, outward(64), EOP | RS | TX_COMMAND.IL2TAG1, 5);
      rig.kickTx(0, 2);
      expect([...must(rig.port.sent[0]).subarray(12, 22)]).toEqual([
        0x88, 0xa8, 0, 77, 0x81, 0, 0, 5, 0x88, 0xb5,
      ]);
    });
  });

  describe("stopping and starting", () => {
    test.runIf(kind === "i40e-vf")(
      "a stopped queue sends nothing; enabled again it begins at place 0 with an empty ring",
      () => {
        const rig = startedRig();
        for (let index = 0; index < 5; index++) rig.putTx(0, index, outward(64, index));
        rig.kickTx(0, 5);
        rig.answer(OP.DISABLE_QUEUES, rig.select(1));
        rig.putTx(0, 5, outward(64, 5));
        rig.kickTx(0, 6);
        expect(rig.port.sent).toHaveLength(5);
        rig.answer(OP.ENABLE_QUEUES, rig.select(1));
        expect(rig.read(txTail(0))).toBe(0);
        rig.putTx(0, 0, outward(64, 100));
        rig.kickTx(0, 1);
        expect(rig.port.sent[5]).toEqual(outward(64, 100));
      },
    );

    test("a new context on a running queue is taken as it comes: the head is 0 again", () => {
      const rig = startedRig();
      for (let index = 0; index < 3; index++) rig.putTx(0, index, outward(64, index));
      rig.kickTx(0, 3);
      rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
      rig.putTx(0, 0, outward(64, 50));
      rig.kickTx(0, 1);
      expect(rig.port.sent[3]).toEqual(outward(64, 50));
    });

    test("one pair is configured again while the other runs", () => {
      const rig = startedRig(2);
      rig.putTx(1, 0, outward(64, 1));
      rig.kickTx(1, 1);
      rig.answer(OP.DISABLE_QUEUES, rig.select(0b01));
      rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
      rig.answer(OP.ENABLE_QUEUES, rig.select(0b01));
      rig.putTx(1, 1, outward(64, 2));
      rig.kickTx(1, 2);
      expect(rig.port.sent.map((sent) => sent[20])).toEqual([1, 2]);
    });

    test("ring addresses lose their low seven bits, as the context has no room for them", () => {
      const rig = startedRig();
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      const body = rig.queueConfig(1);
      const view = new DataView(body.buffer);
      view.setUint32(8 + 8, view.getUint32(8 + 8, true) + 127, true);
      rig.answer(OP.CONFIG_VSI_QUEUES, body);
      rig.answer(OP.ENABLE_QUEUES, rig.select(1));
      rig.putTx(0, 0, outward(64));
      rig.kickTx(0, 1);
      expect(rig.port.sent).toHaveLength(1);
    });
  });
});
