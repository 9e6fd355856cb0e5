import {
  PROTO_HEADER,
  RSS_ALGORITHM,
  RX_STATUS,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildHena,
  buildRssConfig,
  buildRssHashFunction,
  buildRssKey,
  buildRssLut,
  parseHena,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet, ipv4, transport } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, rigsOf, type Rig } from "../../intel-vf/testing/rig.ts";
import { VSI, plain } from "./testing/filters.ts";

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

const { startedRig } = rigsOf("e810-vf");

describe("RSS with ice", () => {
  const key = Uint8Array.from({ length: 52 }, (_, index) => (index * 37 + 11) & 0xff);

  function hashing(): Rig {
    const rig = startedRig(1, { queuePairs: 1 });
    rig.answer(OP.CONFIG_RSS_KEY, buildRssKey({ vsiId: VSI, key }));
    return rig;
  }

  /** A UDP frame between addresses and ports that end in these numbers. */
  function udp(from: number, to: number, source: number, target: number): Uint8Array {
    const packet = ipv4(17, transport(17, new Uint8Array(20)));
    packet[15] = from;
    packet[19] = to;
    packet.set([source >> 8, source & 0xff, target >> 8, target & 0xff], 20);
    return ethernet(RIG_MAC, PEER_MAC, 0x0800, packet);
  }

  function hash(rig: Rig, frame: Uint8Array): number {
    const index = rig.model.truth.verdicts.accepted;
    expect(rig.port.deliver(frame)).toBe("accepted");
    const back = rig.rxBack(0, index);
    return (back.low & RX_STATUS.FLTSTAT_MASK) === RX_STATUS.FLTSTAT_RSS ? back.hash : -1;
  }

  test("offers the types of IPv4 and IPv6 and none of layer 2", () => {
    const types = parseHena(startedRig().answer(OP.GET_RSS_HENA_CAPS).body);
    const bits = Array.from({ length: 64 }, (_, bit) => bit).filter(
      (bit) => ((types >> BigInt(bit)) & 1n) === 1n,
    );
    expect(bits).toEqual([29, 30, 31, 32, 33, 34, 35, 36, 39, 40, 41, 42, 43, 44, 45, 46]);
    expect(hash(hashing(), plain)).toBe(-1);
  });

  test("types that it does not know are refused, and those before are gone", () => {
    const rig = hashing();
    expect(hash(rig, udp(1, 2, 3, 4))).not.toBe(-1);
    expect(rig.answer(OP.SET_RSS_HENA, buildHena(1n << 63n)).status).toBe(PARAM);
    expect(hash(rig, udp(1, 2, 3, 4))).toBe(-1);
    rig.answer(OP.SET_RSS_HENA, buildHena(1n << 31n));
    expect(hash(rig, udp(1, 2, 3, 4))).not.toBe(-1);
  });

  test("takes a table of any queues; what points beyond the VF's drops", () => {
    const rig = hashing();
    const lut = new Uint8Array(64).fill(9);
    expect(rig.answer(OP.CONFIG_RSS_LUT, buildRssLut({ vsiId: VSI, lut })).status).toBe(SUCCESS);
    expect(rig.port.deliver(udp(1, 2, 3, 4))).toBe("queue-disabled");
    expect(rig.port.deliver(plain)).toBe("accepted");
  });

  test("the symmetric function hashes both directions alike, the plain one does not", () => {
    const rig = hashing();
    const there = udp(1, 2, 300, 4000);
    const back = udp(2, 1, 4000, 300);
    expect(hash(rig, there)).not.toBe(hash(rig, back));
    const choose = (algorithm: number): number =>
      rig.answer(OP.CONFIG_RSS_HFUNC, buildRssHashFunction({ vsiId: VSI, algorithm })).status;
    expect(choose(RSS_ALGORITHM.TOEPLITZ_SYMMETRIC)).toBe(SUCCESS);
    expect(hash(rig, there)).toBe(hash(rig, back));
    expect(hash(rig, there)).not.toBe(hash(rig, udp(1, 3, 300, 4000)));
    choose(RSS_ALGORITHM.TOEPLITZ);
    expect(hash(rig, there)).not.toBe(hash(rig, back));
  });

  describe("by ADD_ and DEL_RSS_CFG", () => {
    const flow = (ip: number, ports: number, type: number = PROTO_HEADER.UDP): Uint8Array =>
      buildRssConfig({
        tunnelLevel: 0,
        algorithm: RSS_ALGORITHM.TOEPLITZ,
        headers: [
          { type: PROTO_HEADER.IPV4, fields: ip },
          { type, fields: ports },
        ],
      });

    test("hashes the fields that were chosen and no others", () => {
      const rig = hashing();
      expect(rig.answer(OP.ADD_RSS_CFG, flow(1, 2)).status).toBe(SUCCESS);
      const base = hash(rig, udp(1, 2, 3, 4));
      expect(hash(rig, udp(1, 9, 9, 4))).toBe(base);
      expect(hash(rig, udp(7, 2, 3, 4))).not.toBe(base);
      expect(hash(rig, udp(1, 2, 3, 5))).not.toBe(base);
      expect(rig.answer(OP.DEL_RSS_CFG, flow(1, 2)).status).toBe(SUCCESS);
      expect(hash(rig, udp(1, 2, 3, 4))).toBe(-1);
    });

    test.each([
      ["no field", flow(0, 0)],
      ["a field that is neither address nor port", flow(0x8, 0)],
      ["a header that it does not know", flow(3, 3, 9)],
      ["no header", buildRssConfig({ tunnelLevel: 0, algorithm: 0, headers: [] })],
      [
        "an algorithm that it does not know",
        buildRssConfig({
          tunnelLevel: 0,
          algorithm: 4,
          headers: [{ type: PROTO_HEADER.IPV6, fields: 3 }],
        }),
      ],
      ["a body that is too short", new Uint8Array(2443)],
    ])("refuses %s", (_, body) => {
      expect(hashing().answer(OP.ADD_RSS_CFG, body).status).toBe(PARAM);
    });
  });
});
