import {
  IAVF_6_1_CAPS,
  QUEUE_PAIR_FIELD,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildQueueSelect,
  txTail,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, rigsOf } from "../../intel-vf/testing/rig.ts";
import { config } from "./testing/queues.ts";
import { inward } from "../../intel-vf/testing/plain-frames.ts";

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

const { newRig, startedRig } = rigsOf("e810-vf");

const out = (fill = 1): Uint8Array =>
  ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(50).fill(fill));

describe("CONFIG_VSI_QUEUES of ice", () => {
  test("has Tx run from then on, with its interrupt shut until ENABLE_QUEUES; Rx waits for that", () => {
    const rig = newRig();
    rig.negotiate();
    rig.answer(OP.CONFIG_IRQ_MAP, rig.irqMap(1));
    rig.postAll(0);
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1)).status).toBe(SUCCESS);
    rig.arm(1);
    rig.putTx(0, 0, out());
    rig.kickTx(0, 1);
    expect(rig.port.sent).toHaveLength(1);
    expect(rig.signals[1]).toBeUndefined();
    expect(rig.port.deliver(inward(64))).toBe("queue-disabled");
    rig.answer(OP.ENABLE_QUEUES, rig.select(1));
    expect(rig.port.deliver(inward(64))).toBe("accepted");
    rig.arm(1);
    rig.putTx(0, 1, out());
    rig.kickTx(0, 2);
    expect(rig.signals[1]).toBe(2);
  });

  test("stops a running Tx queue and starts it anew at place 0, the others run on", () => {
    const rig = startedRig(2);
    for (let index = 0; index < 3; index++) rig.putTx(0, index, out(index));
    rig.kickTx(0, 3);
    rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
    expect(rig.read(txTail(0))).toBe(0);
    rig.putTx(0, 0, out(9));
    rig.kickTx(0, 1);
    expect(rig.port.sent[3]).toEqual(out(9));
    rig.putTx(1, 0, out(7));
    rig.kickTx(1, 1);
    expect(rig.port.sent[4]).toEqual(out(7));
  });

  test("a new map opens the interrupt of a queue that was configured again", () => {
    const rig = startedRig();
    rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
    rig.answer(OP.CONFIG_IRQ_MAP, rig.irqMap(1));
    rig.putTx(0, 0, out());
    rig.kickTx(0, 1);
    expect(rig.signals[1]).toBe(1);
  });

  test("leaves a half of ring length 0 alone, Tx", () => {
    const rig = startedRig();
    for (let index = 0; index < 2; index++) rig.putTx(0, index, out(index));
    rig.kickTx(0, 2);
    rig.port.deliver(inward(64, 1));
    rig.postAll(0);
    rig.answer(OP.CONFIG_VSI_QUEUES, config(rig, 1, [0, QUEUE_PAIR_FIELD.TX_LENGTH, 0, 2]));
    rig.putTx(0, 2, out(2));
    rig.kickTx(0, 3);
    expect(rig.port.sent[2]).toEqual(out(2));
    // The Rx half begins at place 0.
    rig.port.deliver(inward(64, 5));
    const at = rig.rxBuffer(0, 0);
    expect(rig.memory.slice(at, at + 64)).toEqual(inward(64, 5));
  });

  test("leaves a half of ring length 0 alone, Rx", () => {
    const rig = startedRig();
    rig.port.deliver(inward(64, 1));
    rig.answer(OP.CONFIG_VSI_QUEUES, config(rig, 1, [0, QUEUE_PAIR_FIELD.RX_LENGTH, 0, 4]));
    expect(rig.port.deliver(inward(64, 2))).toBe("accepted");
    const at = rig.rxBuffer(0, 1);
    expect(rig.memory.slice(at, at + 64)).toEqual(inward(64, 2));
  });

  test.each<readonly [string, number, number, 1 | 2 | 4]>([
    ["head write-back", QUEUE_PAIR_FIELD.TX_HEAD_WRITE_BACK, 1, 2],
    ["another VSI", QUEUE_PAIR_FIELD.RX_VSI, 2, 2],
    ["two different queues", QUEUE_PAIR_FIELD.RX_QUEUE, 0, 2],
    ["a queue beyond the VF's", QUEUE_PAIR_FIELD.TX_QUEUE, 16, 2],
    ["a Tx ring of 32", QUEUE_PAIR_FIELD.TX_LENGTH, 32, 2],
    ["a Tx ring of 72", QUEUE_PAIR_FIELD.TX_LENGTH, 72, 2],
    ["an Rx ring of 8192", QUEUE_PAIR_FIELD.RX_LENGTH, 8192, 4],
    ["a small buffer", QUEUE_PAIR_FIELD.RX_BUFFER_SIZE, 512, 4],
    ["a large buffer", QUEUE_PAIR_FIELD.RX_BUFFER_SIZE, 16 * 1024, 4],
    ["a small frame", QUEUE_PAIR_FIELD.RX_MAX_PACKET, 63, 4],
    ["a large frame", QUEUE_PAIR_FIELD.RX_MAX_PACKET, 9729, 4],
    ["a format that it does not know", QUEUE_PAIR_FIELD.RX_RXDID, 3, 1],
    ["the format of 16 bytes", QUEUE_PAIR_FIELD.RX_RXDID, 0, 1],
  ])(
    "refuses %s, and stops the queues numbered as the elements so far",
    (_, field, value, size) => {
      const rig = startedRig(4);
      const body = config(rig, 3, [1, field, value, size]);
      expect(rig.answer(OP.CONFIG_VSI_QUEUES, body).status).toBe(PARAM);
      for (const [queue, sent] of [
        [0, 0],
        [1, 0],
        [2, 1],
        [3, 2],
      ] as const) {
        rig.putTx(queue, 0, out(queue));
        rig.kickTx(queue, 1);
        expect([queue, rig.port.sent.length]).toEqual([queue, sent]);
      }
    },
  );

  test("stops by the element's place, not by the queue that it names", () => {
    const rig = startedRig(4);
    const bad = config(
      rig,
      1,
      [0, QUEUE_PAIR_FIELD.TX_QUEUE, 3, 2],
      [0, QUEUE_PAIR_FIELD.RX_QUEUE, 3, 2],
      [0, QUEUE_PAIR_FIELD.TX_HEAD_WRITE_BACK, 1, 2],
    );
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, bad).status).toBe(PARAM);
    rig.putTx(3, 0, out());
    rig.kickTx(3, 1);
    rig.putTx(0, 0, out());
    rig.kickTx(0, 1);
    expect(rig.port.sent).toHaveLength(1);
  });

  test("more pairs than the VF has, or another VSI, stop nothing", () => {
    const rig = startedRig(1, { queuePairs: 2 });
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(3)).status).toBe(PARAM);
    const foreign = rig.queueConfig(1);
    foreign[0] = 9;
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, foreign).status).toBe(PARAM);
    expect(rig.port.deliver(inward(64))).toBe("accepted");
  });

  test("takes no notice of the format where formats were not granted, as with Linux 6.1", () => {
    const rig = newRig();
    rig.negotiate(IAVF_6_1_CAPS);
    rig.startQueues();
    expect(rig.port.deliver(inward(64))).toBe("accepted");
    expect(rig.rxBack(0, 0).low & 3).toBe(3);
  });
});

describe("ENABLE_ and DISABLE_QUEUES of ice", () => {
  test("a Tx queue that was stopped stays so until it is configured again", () => {
    const rig = startedRig();
    rig.answer(OP.DISABLE_QUEUES, rig.select(1));
    rig.answer(OP.ENABLE_QUEUES, rig.select(1));
    rig.putTx(0, 0, out());
    rig.kickTx(0, 1);
    expect(rig.port.sent).toHaveLength(0);
    rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
    rig.kickTx(0, 1);
    expect(rig.port.sent).toHaveLength(1);
  });

  test("an Rx queue without context, a foreign queue and an empty choice are refused", () => {
    const rig = startedRig(1, { queuePairs: 2 });
    const select = (rxQueues: number, txQueues: number): Uint8Array =>
      buildQueueSelect({ vsiId: 1, rxQueues, txQueues });
    expect(rig.answer(OP.ENABLE_QUEUES, select(2, 0)).status).toBe(PARAM);
    expect(rig.answer(OP.ENABLE_QUEUES, select(4, 0)).status).toBe(PARAM);
    expect(rig.answer(OP.DISABLE_QUEUES, select(0, 4)).status).toBe(PARAM);
    expect(rig.answer(OP.DISABLE_QUEUES, select(0, 0)).status).toBe(PARAM);
    expect(rig.answer(OP.ENABLE_QUEUES, select(0x1_0000, 0)).status).toBe(PARAM);
    expect(rig.answer(OP.ENABLE_QUEUES, select(1, 1)).status).toBe(SUCCESS);
  });
});

describe("CONFIG_IRQ_MAP of ice", () => {
  test("refuses queues on the mailbox's vector, and queues that the VF has not", () => {
    const rig = newRig({ queuePairs: 2 });
    rig.negotiate();
    const zero = rig.irqMap(1);
    new DataView(zero.buffer).setUint16(4, 0, true);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, zero).status).toBe(PARAM);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, rig.irqMap(3)).status).toBe(PARAM);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, rig.irqMap(2)).status).toBe(SUCCESS);
  });

  test("adds to what is mapped: queues that a map leaves out stay with their vector", () => {
    const rig = startedRig(2);
    const map = rig.irqMap(2);
    const data = new DataView(map.buffer);
    // Vector 2 with no queue any more.
    data.setUint16(2 + 12 + 4, 0, true);
    data.setUint16(2 + 12 + 6, 0, true);
    rig.answer(OP.CONFIG_IRQ_MAP, map);
    rig.putTx(1, 0, out());
    rig.kickTx(1, 1);
    expect(rig.signals[2]).toBe(1);
  });
});
