import {
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildHena,
  buildPromiscuous,
  buildRssKey,
  buildRssLut,
  buildVlanList,
  parseHena,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet, must } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, startedRig } from "../../intel-vf/testing/rig.ts";
import { negotiated, macs, broadcast, multicast } from "./testing/messages.ts";

const { PARAM } = VIRTCHNL_STATUS;

const toPeer = ethernet("02:00:00:00:00:77", PEER_MAC, 0x88b5, new Uint8Array(60));

describe("address filters", () => {
  test("pass own address and broadcast, and nothing else", () => {
    const rig = startedRig();
    expect(rig.port.deliver(broadcast)).toBe("accepted");
    expect(rig.port.deliver(toPeer)).toBe("filtered");
    expect(rig.port.deliver(multicast)).toBe("filtered");
  });

  test("an address that the host set stays: no other unicast, but any multicast", () => {
    const rig = startedRig();
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, RIG_MAC)).status).toBe(0);
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, "02:00:00:00:00:77")).status).toBe(PARAM);
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, "01:00:5e:00:00:01")).status).toBe(0);
    expect(rig.port.deliver(multicast)).toBe("accepted");
    expect(rig.answer(OP.DEL_ETH_ADDR, macs(rig, RIG_MAC)).status).toBe(0);
    expect(rig.port.deliver(ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(60)))).toBe(
      "accepted",
    );
  });

  test("a guest that chooses may add and delete, but not what is not there", () => {
    const rig = startedRig(1, { adminMac: false });
    const other = macs(rig, "02:00:00:00:00:77");
    expect(rig.answer(OP.ADD_ETH_ADDR, other).status).toBe(0);
    expect(rig.port.deliver(toPeer)).toBe("accepted");
    expect(rig.answer(OP.DEL_ETH_ADDR, other).status).toBe(0);
    expect(rig.port.deliver(toPeer)).toBe("filtered");
    expect(rig.answer(OP.DEL_ETH_ADDR, other).status).toBe(PARAM);
  });

  test("zero and broadcast are no addresses to add", () => {
    const rig = startedRig();
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, "00:00:00:00:00:00")).status).toBe(PARAM);
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, "ff:ff:ff:ff:ff:ff")).status).toBe(PARAM);
  });

  test("an untrusted VF has room for 18 addresses, a trusted one for more", () => {
    const group = Array.from(
      { length: 17 },
      (_, index) => `01:00:5e:00:01:${index.toString(16).padStart(2, "0")}`,
    );
    const rig = startedRig();
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, ...group.slice(0, 16))).status).toBe(0);
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, must(group[0]))).status).toBe(0);
    expect(rig.answer(OP.ADD_ETH_ADDR, macs(rig, must(group[16]))).status).toBe(PARAM);
    const trusted = startedRig(1, { trusted: true });
    expect(trusted.answer(OP.ADD_ETH_ADDR, macs(trusted, ...group)).status).toBe(0);
  });

  test("promiscuous mode is granted in words, and in fact only to a trusted VF", () => {
    const rig = startedRig();
    const all = buildPromiscuous({ vsiId: rig.vsiId, flags: 3 });
    expect(rig.answer(OP.CONFIG_PROMISCUOUS_MODE, all).status).toBe(0);
    expect(rig.port.deliver(toPeer)).toBe("filtered");
    const trusted = startedRig(1, { trusted: true });
    expect(trusted.answer(OP.CONFIG_PROMISCUOUS_MODE, all).status).toBe(0);
    expect(trusted.port.deliver(toPeer)).toBe("accepted");
    expect(trusted.port.deliver(multicast)).toBe("accepted");
    expect(
      trusted.answer(OP.CONFIG_PROMISCUOUS_MODE, buildPromiscuous({ vsiId: 7, flags: 4 })).status,
    ).toBe(PARAM);
  });
});

describe("VLAN filters", () => {
  test("beyond sixteen an untrusted VF is told success, and nothing is added", () => {
    const rig = startedRig();
    const ids = Array.from({ length: 16 }, (_, index) => index + 1);
    const add = (list: readonly number[]): number =>
      rig.answer(OP.ADD_VLAN, buildVlanList({ vsiId: rig.vsiId, ids: list })).status;
    expect(add(ids)).toBe(0);
    expect(add([100])).toBe(0);
    const frame = new Uint8Array(64);
    frame.set(broadcast.subarray(0, 12));
    frame.set([0x81, 0, 0, 100], 12);
    expect(rig.port.deliver(frame)).toBe("filtered");
    frame[15] = 16;
    expect(rig.port.deliver(frame)).toBe("accepted");
  });
});

describe("receive side scaling", () => {
  test("key and table have one size each, and a table names only queues of the VSI", () => {
    const rig = negotiated({ queuePairs: 2 });
    const { vsiId } = rig;
    const key = (length: number): number =>
      rig.answer(OP.CONFIG_RSS_KEY, buildRssKey({ vsiId, key: new Uint8Array(length).fill(1) }))
        .status;
    const lut = (length: number, queue: number): number =>
      rig.answer(OP.CONFIG_RSS_LUT, buildRssLut({ vsiId, lut: new Uint8Array(length).fill(queue) }))
        .status;
    expect([key(52), key(51), key(40)]).toEqual([0, PARAM, PARAM]);
    expect([lut(64, 1), lut(63, 1), lut(64, 2)]).toEqual([0, PARAM, PARAM]);
    expect(rig.read(0xcc00 + 48)).toBe(0x0101_0101);
    expect(rig.read(0xd000)).toBe(0x0101_0101);
  });

  test("hash types are told and taken", () => {
    const rig = negotiated();
    expect(parseHena(rig.answer(OP.GET_RSS_HENA_CAPS).body)).not.toBe(0n);
    expect(rig.answer(OP.SET_RSS_HENA, buildHena(0x8000_0002_0000_0001n)).status).toBe(0);
    expect([rig.read(0xc400), rig.read(0xc404)]).toEqual([1, 0x8000_0002]);
  });
});
