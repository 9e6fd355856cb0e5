import {
  IAVF_6_1_CAPS,
  QUEUE_PAIR_FIELD,
  RX_FLEX_STATUS,
  RX_PTYPE,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  readRxFlexBack,
  rxTail,
} from "@vfmig/iavf";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ethernet, ipv4, transport, withL4Checksum } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, rigsOf, type Rig } from "../../intel-vf/testing/rig.ts";
import { config } from "./testing/queues.ts";
import { inward } from "../../intel-vf/testing/plain-frames.ts";

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

const { newRig, startedRig } = rigsOf("e810-vf");

describe("the Rx tail on E810", () => {
  test("counts in steps of eight, though it reads back as written", () => {
    const rig = startedRig();
    rig.write(rxTail(0), 15);
    expect(rig.read(rxTail(0))).toBe(15);
    const verdicts = Array.from({ length: 9 }, () => rig.port.deliver(inward(64)));
    expect(verdicts.filter((verdict) => verdict === "accepted")).toHaveLength(8);
  });
});

describe("the flexible NIC write-back", () => {
  function flexible(bufferSize = 2048): Rig {
    const rig = newRig({ queuePairs: 1 });
    rig.negotiate();
    rig.rxdid = 2;
    rig.startQueues(1, 64, bufferSize);
    return rig;
  }

  test("carries length, type, checksum results and hash of a frame", () => {
    const rig = flexible();
    const packet = withL4Checksum(ipv4(6, transport(6, new Uint8Array(50))), 20, 6);
    const frame = ethernet(RIG_MAC, PEER_MAC, 0x0800, packet);
    rig.port.deliver(frame);
    const back = readRxFlexBack(rig.data, rig.rxRing(0));
    const { DD, EOF, L3L4P, RSS_VALID } = RX_FLEX_STATUS;
    expect(back).toMatchObject({
      status: DD | EOF | L3L4P | RSS_VALID,
      length: frame.length,
      packetType: RX_PTYPE.IPV4_TCP,
      tag: 0,
      tag2: -1,
    });
    expect(rig.data.getUint8(rig.rxRing(0))).toBe(2);
    frame[frame.length - 1] = 1;
    rig.port.deliver(frame);
    expect(readRxFlexBack(rig.data, rig.rxRing(0) + 32).status & RX_FLEX_STATUS.L4E).not.toBe(0);
  });

  test("of a frame of several buffers tells all but the length in the last one only", () => {
    const rig = flexible(1024);
    rig.port.deliver(ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(2000)));
    const [first, last] = [0, 32].map((at) => readRxFlexBack(rig.data, rig.rxRing(0) + at));
    expect(first).toMatchObject({ status: RX_FLEX_STATUS.DD, length: 1024, packetType: 0 });
    expect(last).toMatchObject({ length: 990, packetType: RX_PTYPE.L2 });
    expect((last?.status ?? 0) & RX_FLEX_STATUS.EOF).not.toBe(0);
  });
});

describe("frames with their check sequence", () => {
  test("come with it where the queue was configured so", () => {
    const rig = newRig();
    rig.negotiate();
    rig.postAll(0);
    const body = config(rig, 1, [0, QUEUE_PAIR_FIELD.RX_CRC_DISABLE, 1, 1]);
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, body).status).toBe(SUCCESS);
    rig.answer(OP.ENABLE_QUEUES, rig.select(1));
    rig.port.deliver(inward(64, 3));
    const at = rig.rxBuffer(0, 0);
    expect(rig.memory.slice(at, at + 64)).toEqual(inward(64, 3));
    const crc = new DataView(rig.memory.buffer).getUint32(at + 64, true);
    expect(crc).toBe(crc32(inward(64, 3)));
    expect((rig.rxBack(0, 0).high >>> 6) & 0x3fff).toBe(68);
  });

  test("are refused where that was not granted", () => {
    const rig = newRig();
    rig.negotiate(IAVF_6_1_CAPS);
    const body = config(rig, 1, [0, QUEUE_PAIR_FIELD.RX_CRC_DISABLE, 1, 1]);
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, body).status).toBe(PARAM);
  });
});
