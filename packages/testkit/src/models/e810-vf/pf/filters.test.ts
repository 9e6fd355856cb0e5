import {
  IAVF_6_1_CAPS,
  MAC_KIND,
  NO_VLAN_TAG,
  PROTO_HEADER,
  QUEUE_CONFIG,
  QUEUE_PAIR_FIELD,
  RSS_ALGORITHM,
  RX_STATUS,
  TX_COMMAND,
  TX_CONTEXT_COMMAND,
  VF_CAP,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  VLAN_SUPPORT,
  buildHena,
  buildMacList,
  buildPromiscuous,
  buildRssConfig,
  buildRssHashFunction,
  buildRssKey,
  buildRssLut,
  buildVlanList,
  buildVlanSetting,
  buildVlanV2List,
  parseHena,
  parseVlanCaps,
  rxSecondTag,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet, ipv4, transport } from "../../intel-vf/testing/frames.ts";
import {
  PEER_MAC,
  RIG_MAC,
  rigsOf,
  type Rig,
  type RigOptions,
} from "../../intel-vf/testing/rig.ts";

const { ADMIN_QUEUE_ERROR, NOT_SUPPORTED, PARAM, SUCCESS } = VIRTCHNL_STATUS;
const { EOP, RS, IL2TAG1 } = TX_COMMAND;
const { newRig, startedRig } = rigsOf("e810-vf");
const VSI = 1;

const plain = ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(50).fill(3));
const outward = ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(50).fill(3));

/** The frame with tags before its ethertype, outermost first. */
function tags(frame: Uint8Array, ...list: readonly (readonly [number, number])[]): Uint8Array {
  const out = new Uint8Array(frame.length + 4 * list.length);
  out.set(frame.subarray(0, 12));
  const data = new DataView(out.buffer);
  for (const [index, [type, tci]] of list.entries()) {
    data.setUint16(12 + 4 * index, type);
    data.setUint16(14 + 4 * index, tci);
  }
  out.set(frame.subarray(12), 12 + 4 * list.length);
  return out;
}

function received(rig: Rig, index: number): Uint8Array {
  const at = rig.rxBuffer(0, index);
  return rig.memory.slice(at, at + ((rig.rxBack(0, index).high >>> 6) & 0x3fff));
}

const inner = (id: number, tpid = 0x8100): Uint8Array =>
  buildVlanV2List({
    vport: VSI,
    filters: [{ inner: { tci: id, tciMask: 0, tpid }, outer: NO_VLAN_TAG }],
  });

const outer = (id: number, tpid: number): Uint8Array =>
  buildVlanV2List({
    vport: VSI,
    filters: [{ inner: NO_VLAN_TAG, outer: { tci: id, tciMask: 0, tpid } }],
  });

const setting = (values: { outer?: number; inner?: number }): Uint8Array =>
  buildVlanSetting({ outer: 0, inner: 0, vport: VSI, ...values });

const C_TAG = VLAN_SUPPORT.ETHERTYPE_8100;
const S_TAG = VLAN_SUPPORT.ETHERTYPE_88A8;

describe("VLAN V2 in single VLAN mode", () => {
  test("offers the inner tag for filters, stripping and insertion, eight of them", () => {
    const rig = startedRig();
    const caps = parseVlanCaps(rig.answer(OP.GET_OFFLOAD_VLAN_V2_CAPS).body);
    const toggle = (C_TAG | VLAN_SUPPORT.TOGGLE | VLAN_SUPPORT.LOCATION_L2TAG1) >>> 0;
    expect(caps).toEqual({
      filtering: { outer: 0, inner: C_TAG },
      filteringInit: C_TAG,
      maxFilters: 8,
      stripping: { outer: 0, inner: toggle },
      insertion: { outer: 0, inner: toggle },
      offloadInit: C_TAG,
      ethertypeMatch: 0,
    });
    const trusted = startedRig(1, { trusted: true });
    const more = parseVlanCaps(trusted.answer(OP.GET_OFFLOAD_VLAN_V2_CAPS).body);
    expect(more.maxFilters).toBe(4096);
  });

  test("lets untagged and priority frames in from the start, and a VLAN once it was added", () => {
    const rig = startedRig();
    expect(rig.port.deliver(plain)).toBe("accepted");
    expect(rig.port.deliver(tags(plain, [0x8100, 0xe000]))).toBe("accepted");
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
    expect(rig.answer(OP.ADD_VLAN_V2, inner(5)).status).toBe(SUCCESS);
    expect(rig.port.deliver(tags(plain, [0x8100, 0x6005]))).toBe("accepted");
    expect(rig.answer(OP.DEL_VLAN_V2, inner(5)).status).toBe(SUCCESS);
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
    expect(rig.answer(OP.DEL_VLAN_V2, inner(5)).status).toBe(PARAM);
  });

  test("strips into L2TAG1 while it is switched on", () => {
    const rig = startedRig();
    rig.answer(OP.ADD_VLAN_V2, inner(5));
    const sent = tags(plain, [0x8100, 0x6005]);
    rig.port.deliver(sent);
    expect(received(rig, 0)).toEqual(sent);
    expect(rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, setting({ inner: C_TAG })).status).toBe(SUCCESS);
    rig.port.deliver(sent);
    expect(received(rig, 1)).toEqual(plain);
    expect(rig.rxBack(0, 1).low & RX_STATUS.L2TAG1P).not.toBe(0);
    expect(rig.rxBack(0, 1).tag).toBe(0x6005);
    rig.answer(OP.DISABLE_VLAN_STRIPPING_V2, setting({ inner: C_TAG }));
    rig.port.deliver(sent);
    expect(received(rig, 2)).toEqual(sent);
  });

  test("inserts from L2TAG1 whatever was switched, and nothing from L2TAG2", () => {
    const rig = startedRig(1, { spoofCheck: false });
    rig.answer(OP.DISABLE_VLAN_INSERTION_V2, setting({ inner: C_TAG }));
    rig.putContext(0, 0, { command: TX_CONTEXT_COMMAND.IL2TAG2, tag2: 77 });
    rig.putTx(0, 1, outward, EOP | RS | IL2TAG1, 5);
    rig.kickTx(0, 2);
    expect(rig.port.sent).toEqual([tags(outward, [0x8100, 5])]);
  });

  test.each([
    ["nothing at all", { outer: 0, inner: 0 }],
    ["the outer tag", { outer: C_TAG, inner: 0 }],
    ["another ethertype", { outer: 0, inner: S_TAG }],
    ["two ethertypes", { outer: 0, inner: C_TAG | S_TAG }],
  ])("refuses to switch %s", (_, values) => {
    const rig = startedRig();
    for (const operation of [
      OP.ENABLE_VLAN_STRIPPING_V2,
      OP.DISABLE_VLAN_STRIPPING_V2,
      OP.ENABLE_VLAN_INSERTION_V2,
      OP.DISABLE_VLAN_INSERTION_V2,
    ]) {
      expect([operation, rig.answer(operation, setting(values)).status]).toEqual([
        operation,
        PARAM,
      ]);
    }
  });

  test.each([
    ["an outer tag", outer(5, 0x8100)],
    ["another ethertype", inner(5, 0x88a8)],
    ["a priority", inner(0x2005)],
    [
      "a mask",
      buildVlanV2List({
        vport: VSI,
        filters: [{ inner: { tci: 5, tciMask: 0xfff, tpid: 0x8100 }, outer: NO_VLAN_TAG }],
      }),
    ],
    ["another VSI", Uint8Array.from(inner(5), (byte, at) => (at === 0 ? 2 : byte))],
  ])("refuses a filter with %s, and adds none of its list", (_, body) => {
    const rig = startedRig();
    expect(rig.answer(OP.ADD_VLAN_V2, body).status).toBe(PARAM);
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
  });

  test("refuses a ninth VLAN of an untrusted VF", () => {
    const rig = startedRig();
    for (let id = 1; id <= 8; id++) {
      expect(rig.answer(OP.ADD_VLAN_V2, inner(id)).status).toBe(SUCCESS);
    }
    expect(rig.answer(OP.ADD_VLAN_V2, inner(9)).status).toBe(PARAM);
    rig.answer(OP.DEL_VLAN_V2, inner(1));
    expect(rig.answer(OP.ADD_VLAN_V2, inner(9)).status).toBe(SUCCESS);
  });

  test("with the spoof check lets out only VLANs that were added, once one was", () => {
    const rig = startedRig();
    const send = (place: number, tag: number): number => {
      rig.putTx(0, place, outward, EOP | RS | IL2TAG1, tag);
      rig.kickTx(0, place + 1);
      return rig.port.sent.length;
    };
    expect(send(0, 6)).toBe(1);
    rig.answer(OP.ADD_VLAN_V2, inner(5));
    expect([send(1, 5), send(2, 6)]).toEqual([2, 2]);
    rig.putTx(0, 3, tags(outward, [0x8100, 6]));
    rig.kickTx(0, 4);
    expect(rig.port.sent).toHaveLength(2);
    expect(rig.model.truth.spoofed).toBe(2);
    rig.answer(OP.DEL_VLAN_V2, inner(5));
    expect(send(4, 6)).toBe(3);
  });

  test("and check sequences rule stripping out, and the other way round", () => {
    const rig = newRig();
    rig.negotiate();
    const keep = rig.queueConfig(1);
    keep[QUEUE_CONFIG.HEADER + QUEUE_PAIR_FIELD.RX_CRC_DISABLE] = 1;
    rig.answer(OP.CONFIG_VSI_QUEUES, keep);
    const strip = setting({ inner: C_TAG });
    expect(rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, strip).status).toBe(NOT_SUPPORTED);
    rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
    expect(rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, strip).status).toBe(SUCCESS);
    expect(rig.answer(OP.CONFIG_VSI_QUEUES, keep).status).toBe(PARAM);
  });
});

describe("VLAN V2 in double VLAN mode", () => {
  const double = (options: RigOptions = {}): Rig =>
    startedRig(1, { doubleVlan: true, queuePairs: 1, ...options });

  test("offers the outer tag of three ethertypes, one at a time, and the inner one", () => {
    const caps = parseVlanCaps(double().answer(OP.GET_OFFLOAD_VLAN_V2_CAPS).body);
    expect(caps.filtering).toEqual({ outer: 0x2000_0007, inner: 0 });
    expect(caps.stripping).toEqual({ outer: 0xc000_0407, inner: 0x8000_0101 });
    expect(caps.insertion).toEqual({ outer: 0xc000_0207, inner: 0x8000_0101 });
  });

  test("filters by ethertype and id of the first tag", () => {
    const rig = double();
    expect(rig.answer(OP.ADD_VLAN_V2, inner(5)).status).toBe(PARAM);
    expect(rig.answer(OP.ADD_VLAN_V2, outer(5, 0x88a8)).status).toBe(SUCCESS);
    expect(rig.port.deliver(tags(plain, [0x88a8, 5]))).toBe("accepted");
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
    expect(rig.answer(OP.ADD_VLAN_V2, outer(6, 0x9100)).status).toBe(SUCCESS);
    expect(rig.port.deliver(tags(plain, [0x9100, 6], [0x8100, 5]))).toBe("accepted");
  });

  test("strips the outer tag into the second L2TAG2 and the inner one into L2TAG1", () => {
    const rig = double();
    rig.answer(OP.ADD_VLAN_V2, outer(5, 0x88a8));
    const both = tags(plain, [0x88a8, 5], [0x8100, 7]);
    rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, setting({ outer: S_TAG }));
    rig.port.deliver(both);
    expect(received(rig, 0)).toEqual(tags(plain, [0x8100, 7]));
    expect(rxSecondTag(rig.data, rig.rxRing(0))).toBe(5);
    expect(rig.rxBack(0, 0).low & RX_STATUS.L2TAG1P).toBe(0);
    rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, setting({ inner: C_TAG }));
    rig.port.deliver(both);
    expect(received(rig, 1)).toEqual(plain);
    expect([rxSecondTag(rig.data, rig.rxRing(0) + 32), rig.rxBack(0, 1).tag]).toEqual([5, 7]);
  });

  test("without outer stripping the only tag goes to L2TAG1", () => {
    const rig = double();
    rig.answer(OP.ADD_VLAN_V2, outer(5, 0x8100));
    rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, setting({ inner: C_TAG }));
    rig.port.deliver(tags(plain, [0x8100, 5]));
    expect(received(rig, 0)).toEqual(plain);
    expect([rxSecondTag(rig.data, rig.rxRing(0)), rig.rxBack(0, 0).tag]).toEqual([-1, 5]);
  });

  test("inserts the outer tag from L2TAG2 with the ethertype that was switched on", () => {
    const rig = double({ spoofCheck: false });
    const send = (place: number): void => {
      rig.putContext(0, place, { command: TX_CONTEXT_COMMAND.IL2TAG2, tag2: 77 });
      rig.putTx(0, place + 1, outward);
      rig.kickTx(0, place + 2);
    };
    send(0);
    rig.answer(OP.ENABLE_VLAN_INSERTION_V2, setting({ outer: S_TAG }));
    send(2);
    rig.answer(OP.DISABLE_VLAN_INSERTION_V2, setting({ outer: S_TAG }));
    send(4);
    expect(rig.port.sent).toEqual([outward, tags(outward, [0x88a8, 77]), outward]);
  });

  test("takes one outer ethertype at a time", () => {
    const rig = double();
    const two = setting({ outer: C_TAG | S_TAG });
    expect(rig.answer(OP.ENABLE_VLAN_STRIPPING_V2, two).status).toBe(PARAM);
  });

  test("a driver of VLAN v1 gets no offload and hears every VLAN", () => {
    const rig = newRig({ doubleVlan: true });
    rig.negotiate(VF_CAP.L2 | VF_CAP.VLAN);
    rig.startQueues();
    const sent = tags(plain, [0x8100, 5]);
    expect(rig.port.deliver(sent)).toBe("accepted");
    expect(received(rig, 0)).toEqual(sent);
  });
});

describe("VLAN v1 with ice", () => {
  function v1(options: RigOptions = {}): Rig {
    const rig = newRig(options);
    rig.negotiate((IAVF_6_1_CAPS & ~VF_CAP.VLAN_V2) >>> 0);
    rig.startQueues();
    return rig;
  }
  const list = (...ids: number[]): Uint8Array => buildVlanList({ vsiId: VSI, ids });

  test("strips from the start, and filters from the first VLAN to the last", () => {
    const rig = v1();
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("accepted");
    expect(received(rig, 0)).toEqual(plain);
    rig.answer(OP.ADD_VLAN, list(0, 6));
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
    expect(rig.port.deliver(tags(plain, [0x8100, 6]))).toBe("accepted");
    rig.answer(OP.DEL_VLAN, list(6));
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("accepted");
    rig.answer(OP.DISABLE_VLAN_STRIPPING);
    rig.port.deliver(tags(plain, [0x8100, 5]));
    expect(received(rig, 3)).toEqual(tags(plain, [0x8100, 5]));
  });

  test("beyond the limit nothing is added, with success", () => {
    const rig = v1();
    const ids = Array.from({ length: 9 }, (_, index) => index + 1);
    expect(rig.answer(OP.ADD_VLAN, list(...ids)).status).toBe(SUCCESS);
    const heard = ids.filter((id) => rig.port.deliver(tags(plain, [0x8100, id])) === "accepted");
    // VLAN 0, which the PF adds itself, counts too.
    expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const trusted = v1({ trusted: true });
    trusted.answer(OP.ADD_VLAN, list(...ids));
    expect(trusted.port.deliver(tags(plain, [0x8100, 9]))).toBe("accepted");
  });
});

describe("addresses with ice", () => {
  const mac = (index: number): string => `01:00:5e:00:00:${index.toString(16).padStart(2, "0")}`;
  const list = (macs: readonly string[], kind: number = MAC_KIND.EXTRA): Uint8Array =>
    buildMacList({ vsiId: VSI, filters: macs.map((address) => ({ mac: address, kind })) });
  const to = (address: string): Uint8Array =>
    ethernet(address, PEER_MAC, 0x88b5, new Uint8Array(50));

  test("an untrusted VF gets 16 beside its own and broadcast", () => {
    const rig = startedRig();
    const many = Array.from({ length: 16 }, (_, index) => mac(index + 1));
    expect(rig.answer(OP.ADD_ETH_ADDR, list(many)).status).toBe(SUCCESS);
    expect(rig.answer(OP.ADD_ETH_ADDR, list([mac(17)])).status).toBe(PARAM);
    const trusted = startedRig(1, { trusted: true });
    expect(trusted.answer(OP.ADD_ETH_ADDR, list([...many, mac(17)])).status).toBe(SUCCESS);
  });

  test("a foreign unicast address is an admin queue error; those before it stay", () => {
    const rig = startedRig();
    const other = "02:00:00:00:00:77";
    expect(rig.answer(OP.ADD_ETH_ADDR, list([mac(1), other, mac(2)])).status).toBe(
      ADMIN_QUEUE_ERROR,
    );
    expect([mac(1), other, mac(2)].map((address) => rig.port.deliver(to(address)))).toEqual([
      "accepted",
      "filtered",
      "filtered",
    ]);
    expect(rig.answer(OP.ADD_ETH_ADDR, list(["01:80:c2:00:00:0e"])).status).toBe(ADMIN_QUEUE_ERROR);
  });

  test("zero, broadcast, own and known addresses are passed over, also when deleted", () => {
    const rig = startedRig();
    const odd = ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", RIG_MAC, mac(1), mac(1)];
    expect(rig.answer(OP.ADD_ETH_ADDR, list(odd)).status).toBe(SUCCESS);
    expect(rig.answer(OP.DEL_ETH_ADDR, list([...odd, mac(9)])).status).toBe(SUCCESS);
    expect(rig.port.deliver(to(RIG_MAC))).toBe("accepted");
    expect(rig.port.deliver(to("ff:ff:ff:ff:ff:ff"))).toBe("accepted");
    expect(rig.port.deliver(to(mac(1)))).toBe("filtered");
  });

  test("where the host set none, the address named primary is the VF's from then on", () => {
    const rig = startedRig(1, { mac: "00:00:00:00:00:00" });
    const own = "02:00:00:00:00:55";
    expect(rig.answer(OP.ADD_ETH_ADDR, list([own], MAC_KIND.PRIMARY)).status).toBe(SUCCESS);
    expect(rig.port.deliver(to(own))).toBe("accepted");
    rig.answer(OP.DEL_ETH_ADDR, list([own], MAC_KIND.PRIMARY));
    expect(rig.port.deliver(to(own))).toBe("filtered");
    rig.ask(OP.RESET_VF);
    rig.clock.advance(20);
    expect(rig.renegotiate().mac).toBe(own);
  });

  test("promiscuous modes are a lie to an untrusted VF, and open a trusted one to every VLAN", () => {
    const other = to("02:00:00:00:00:99");
    const both = buildPromiscuous({ vsiId: VSI, flags: 3 });
    const rig = startedRig();
    expect(rig.answer(OP.CONFIG_PROMISCUOUS_MODE, both).status).toBe(SUCCESS);
    expect(rig.port.deliver(other)).toBe("filtered");
    const trusted = startedRig(1, { trusted: true });
    trusted.answer(OP.CONFIG_PROMISCUOUS_MODE, both);
    expect(trusted.port.deliver(tags(other, [0x8100, 5]))).toBe("accepted");
    trusted.answer(OP.CONFIG_PROMISCUOUS_MODE, buildPromiscuous({ vsiId: VSI, flags: 0 }));
    expect(trusted.port.deliver(other)).toBe("filtered");
    expect(trusted.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
  });
});

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
