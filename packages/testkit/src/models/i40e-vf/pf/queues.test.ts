import {
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildQueueSelect,
  buildRequestQueues,
  parseRequestQueues,
  parseStats,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, startedRig } from "../../intel-vf/testing/rig.ts";
import { negotiated, broadcast, multicast } from "./testing/messages.ts";

const { PARAM } = VIRTCHNL_STATUS;

describe("queues", () => {
  test("a bad ring, buffer or packet size is refused", () => {
    const rig = negotiated();
    const tx = 8;
    const rx = 8 + 24;
    const cases: readonly (readonly [string, number, number, 2 | 4])[] = [
      ["tx length", tx + 4, 12, 2],
      ["tx length above the limit", tx + 4, 8168, 2],
      ["head write-back", tx + 6, 1, 2],
      ["rx length", rx + 4, 40, 4],
      ["rx length above the limit", rx + 4, 8192, 4],
      ["buffer size", rx + 12, 16 * 1024, 4],
      ["packet size below", rx + 16, 63, 4],
      ["packet size above", rx + 16, 16 * 1024, 4],
      ["queue beyond the VSI", tx + 2, 4, 2],
      ["queues that differ", rx + 2, 1, 2],
      ["tx VSI", tx, 1, 2],
      ["rx VSI", rx, 1, 2],
    ];
    for (const [what, at, value, size] of cases) {
      const body = rig.queueConfig(1);
      const view = new DataView(body.buffer);
      if (size === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      expect([what, rig.answer(OP.CONFIG_VSI_QUEUES, body).status]).toEqual([what, PARAM]);
    }
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(4)).status).toBe(0);
  });

  test("elements before a bad one stay configured", () => {
    const rig = negotiated();
    const body = rig.queueConfig(2);
    new DataView(body.buffer).setUint16(8 + 64 + 4, 12, true);
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, body).status).toBe(PARAM);
    expect(rig.answer(OP.ENABLE_QUEUES, rig.select(0b01)).status).toBe(0);
    expect(rig.answer(OP.ENABLE_QUEUES, rig.select(0b10)).status).not.toBe(0);
  });

  test("an empty bitmap and bits beyond 16 queues are refused", () => {
    const rig = startedRig();
    expect(rig.answer(OP.ENABLE_QUEUES, rig.select(0)).status).toBe(PARAM);
    expect(rig.answer(OP.DISABLE_QUEUES, rig.select(0x1_0000)).status).toBe(PARAM);
  });

  test("a queue without context does not come up", () => {
    const rig = negotiated();
    expect(rig.answer(OP.ENABLE_QUEUES, rig.select(1)).status).not.toBe(0);
  });

  test("a vector or a queue that the VF does not have cannot be mapped", () => {
    const rig = negotiated({ vectors: 3, queuePairs: 2 });
    const change = (at: number, value: number): Uint8Array => {
      const body = rig.irqMap(1);
      new DataView(body.buffer).setUint16(2 + at, value, true);
      return body;
    };
    expect(rig.answer(OP.CONFIG_IRQ_MAP, change(2, 3)).status).toBe(PARAM);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, change(4, 0b100)).status).toBe(PARAM);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, change(6, 0b100)).status).toBe(PARAM);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, rig.irqMap(4)).status).toBe(PARAM);
    expect(rig.answer(OP.CONFIG_IRQ_MAP, change(2, 2)).status).toBe(0);
  });

  test("more pairs are given by a reset that is announced, fewer than wished by a number", () => {
    const rig = negotiated({ maxQueuePairs: 8, vectors: 9 });
    expect(parseRequestQueues(rig.answer(OP.REQUEST_QUEUES, buildRequestQueues(9)).body)).toBe(8);
    expect(rig.ask(OP.REQUEST_QUEUES, buildRequestQueues(8))).toBeUndefined();
    rig.clock.advance(20);
    expect(rig.renegotiate().queuePairs).toBe(8);
  });
});

describe("statistics", () => {
  test("are 104 bytes of what really passed", () => {
    const rig = startedRig();
    const out = ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(86));
    rig.port.deliver(broadcast);
    rig.port.deliver(multicast);
    rig.putTx(0, 0, out);
    rig.kickTx(0, 1);
    const reply = rig.answer(
      OP.GET_STATS,
      buildQueueSelect({ vsiId: 7, rxQueues: 0, txQueues: 0 }),
    );
    expect(reply.body).toHaveLength(104);
    expect(parseStats(reply.body)).toMatchObject({
      rxBytes: BigInt(broadcast.length),
      rxBroadcast: 1n,
      rxMulticast: 0n,
      txBytes: 100n,
      txUnicast: 1n,
      rxDiscards: 0n,
    });
  });

  test("of another VSI are refused with an empty record", () => {
    const rig = startedRig();
    rig.port.deliver(broadcast);
    const reply = rig.answer(
      OP.GET_STATS,
      buildQueueSelect({ vsiId: 8, rxQueues: 0, txQueues: 0 }),
    );
    expect([reply.status, reply.body]).toEqual([PARAM, new Uint8Array(104)]);
  });
});
