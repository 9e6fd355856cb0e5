import {
  IAVF_7_2_CAPS,
  RESOURCES_LENGTH,
  VF_CAP,
  VF_EVENT,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildHena,
  buildMacList,
  buildPromiscuous,
  buildQueueSelect,
  buildRequestQueues,
  buildResourcesRequest,
  buildRssKey,
  buildRssLut,
  buildVersion,
  buildVlanList,
  capabilityNames,
  parseEvent,
  parseHena,
  parseRequestQueues,
  parseResources,
  parseStats,
  parseVersion,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet, must } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, Rig, startedRig, type RigOptions } from "../../intel-vf/testing/rig.ts";

const { PARAM, NOT_SUPPORTED } = VIRTCHNL_STATUS;

function negotiated(options: RigOptions = {}, caps: number = IAVF_7_2_CAPS): Rig {
  const rig = new Rig(options);
  rig.negotiate(caps);
  return rig;
}

function macs(rig: Rig, ...list: string[]): Uint8Array {
  return buildMacList({
    vsiId: rig.vsiId,
    filters: list.map((mac) => ({ mac, kind: 2 })),
  });
}

const broadcast = ethernet("ff:ff:ff:ff:ff:ff", PEER_MAC, 0x88b5, new Uint8Array(60));
const toPeer = ethernet("02:00:00:00:00:77", PEER_MAC, 0x88b5, new Uint8Array(60));
const multicast = ethernet("01:00:5e:00:00:01", PEER_MAC, 0x88b5, new Uint8Array(60));

describe("the first messages", () => {
  test("VERSION answers 1.1, and 1.0 to a driver of 1.0", () => {
    const rig = negotiated();
    const ask = (major: number, minor: number): unknown =>
      parseVersion(rig.answer(OP.VERSION, buildVersion({ major, minor })).body);
    expect(ask(1, 1)).toEqual({ major: 1, minor: 1 });
    expect(ask(1, 0)).toEqual({ major: 1, minor: 0 });
    expect(ask(2, 7)).toEqual({ major: 1, minor: 1 });
  });

  test("GET_VF_RESOURCES gives 52 bytes with a VSI of type 6 and this instance's numbers", () => {
    const rig = new Rig({ vsiId: 391, queuePairs: 2, vectors: 3, maxFrame: 9000 });
    const resources = rig.negotiate();
    expect(rig.messages.find((m) => m.opcode === OP.GET_VF_RESOURCES)?.body).toHaveLength(
      RESOURCES_LENGTH.I40E,
    );
    expect(resources).toMatchObject({
      vsiId: 391,
      queuePairs: 2,
      maxVectors: 3,
      maxFrame: 9000,
      vsiType: 6,
      rssKeySize: 52,
      rssLutSize: 64,
      mac: RIG_MAC,
    });
  });

  test("grants iavf what an i40e has, and never what it has not", () => {
    const resources = new Rig().negotiate(IAVF_7_2_CAPS);
    expect(capabilityNames(resources.caps)).toEqual([
      "L2",
      "REQ_QUEUES",
      "ADV_LINK_SPEED",
      "VLAN",
      "RSS_PF",
      "ENCAP",
      "ADQ",
    ]);
  });

  test("falls back to RSS registers, and grants less where the instance is told to", () => {
    expect(capabilityNames(new Rig().negotiate(VF_CAP.L2).caps)).toEqual(
      ["L2", "RSS_REG", "ADV_LINK_SPEED", "VLAN"].toSorted(
        (a, b) => VF_CAP[a as "L2"] - VF_CAP[b as "L2"],
      ),
    );
    const limited = new Rig({ grantedCaps: (VF_CAP.L2 | VF_CAP.RSS_PF) >>> 0 });
    expect(capabilityNames(limited.negotiate().caps)).toEqual(["L2", "RSS_PF"]);
  });

  test("leaves an old driver without address where the host set none", () => {
    const old = (IAVF_7_2_CAPS & ~VF_CAP.USO) >>> 0;
    expect(new Rig({ adminMac: false }).negotiate(old).mac).toBe("00:00:00:00:00:00");
    expect(new Rig({ adminMac: false }).negotiate().mac).toBe(RIG_MAC);
    expect(new Rig({ adminMac: true }).negotiate(old).mac).toBe(RIG_MAC);
  });

  test("answers GET_VF_RESOURCES once between two resets", () => {
    const rig = negotiated();
    const again = rig.answer(OP.GET_VF_RESOURCES, buildResourcesRequest(IAVF_7_2_CAPS));
    expect([again.status, again.body.length]).toEqual([PARAM, 0]);
  });

  test("a driver of 1.0 asks without body", () => {
    const rig = negotiated();
    rig.model.control.resetVf(false);
    rig.clock.advance(20);
    rig.openMailbox();
    rig.answer(OP.VERSION, buildVersion({ major: 1, minor: 0 }));
    expect(rig.answer(OP.GET_VF_RESOURCES, buildResourcesRequest(1)).status).toBe(PARAM);
    const { caps } = parseResources(rig.answer(OP.GET_VF_RESOURCES).body);
    expect(capabilityNames(caps)).toEqual(["L2", "RSS_REG", "ADV_LINK_SPEED", "VLAN"]);
  });

  test("before GET_VF_RESOURCES every other message is refused", () => {
    const rig = new Rig();
    rig.setBusMaster(true);
    rig.mapMemory();
    rig.openMailbox();
    rig.answer(OP.VERSION, buildVersion());
    rig.vsiId = 7;
    const select = rig.select(1);
    for (const [opcode, body] of [
      [OP.CONFIG_VSI_QUEUES, rig.queueConfig(1)],
      [OP.CONFIG_IRQ_MAP, rig.irqMap(1)],
      [OP.ENABLE_QUEUES, select],
      [OP.DISABLE_QUEUES, select],
      [OP.GET_STATS, select],
      [OP.ADD_ETH_ADDR, macs(rig, RIG_MAC)],
      [OP.GET_RSS_HENA_CAPS, undefined],
      [OP.ENABLE_VLAN_STRIPPING, undefined],
      [OP.REQUEST_QUEUES, buildRequestQueues(2)],
    ] as const) {
      expect([opcode, rig.answer(opcode, body).status]).toEqual([opcode, PARAM]);
    }
  });
});

describe("bad messages", () => {
  test("unknown operations are answered, not supported", () => {
    const rig = negotiated();
    for (const opcode of [0, 4, 16, 18, 20, 44, 51, 60, 112, 5000]) {
      expect([opcode, rig.answer(opcode).status]).toEqual([opcode, NOT_SUPPORTED]);
    }
  });

  test("an EVENT from a VF, and channels that no VF may have, are refused", () => {
    const rig = negotiated();
    expect(rig.answer(OP.EVENT).status).toBe(PARAM);
    expect(rig.answer(OP.ENABLE_CHANNELS, new Uint8Array(24)).status).toBe(PARAM);
    expect(rig.answer(OP.ADD_CLOUD_FILTER, new Uint8Array(272)).status).toBe(PARAM);
  });

  test("a body one byte short or long is refused, whatever the message", () => {
    const rig = negotiated();
    const bodies: readonly (readonly [number, Uint8Array])[] = [
      [OP.VERSION, buildVersion()],
      [OP.CONFIG_VSI_QUEUES, rig.queueConfig(2)],
      [OP.CONFIG_IRQ_MAP, rig.irqMap(2)],
      [OP.ENABLE_QUEUES, rig.select(1)],
      [OP.DISABLE_QUEUES, rig.select(1)],
      [OP.GET_STATS, rig.select(0)],
      [OP.ADD_ETH_ADDR, macs(rig, RIG_MAC)],
      [OP.DEL_ETH_ADDR, macs(rig, RIG_MAC)],
      [OP.ADD_VLAN, buildVlanList({ vsiId: rig.vsiId, ids: [5] })],
      [OP.DEL_VLAN, buildVlanList({ vsiId: rig.vsiId, ids: [5] })],
      [OP.CONFIG_PROMISCUOUS_MODE, buildPromiscuous({ vsiId: rig.vsiId, flags: 0 })],
      [OP.CONFIG_RSS_KEY, buildRssKey({ vsiId: rig.vsiId, key: new Uint8Array(52) })],
      [OP.CONFIG_RSS_LUT, buildRssLut({ vsiId: rig.vsiId, lut: new Uint8Array(64) })],
      [OP.SET_RSS_HENA, buildHena(0n)],
      [OP.REQUEST_QUEUES, buildRequestQueues(2)],
    ];
    for (const [opcode, body] of bodies) {
      const long = new Uint8Array(body.length + 1);
      long.set(body);
      expect([opcode, rig.answer(opcode, body.slice(0, -1)).status]).toEqual([opcode, PARAM]);
      expect([opcode, rig.answer(opcode, long).status]).toEqual([opcode, PARAM]);
    }
    for (const opcode of [OP.GET_RSS_HENA_CAPS, OP.DISABLE_VLAN_STRIPPING, OP.RESET_VF]) {
      expect(rig.answer(opcode, new Uint8Array(1)).status).toBe(PARAM);
    }
  });

  test("another VSI's number is refused in every message that carries one", () => {
    const rig = negotiated({ vsiId: 11 });
    rig.vsiId = 12;
    for (const [opcode, body] of [
      [OP.CONFIG_VSI_QUEUES, rig.queueConfig(1)],
      [OP.CONFIG_IRQ_MAP, rig.irqMap(1)],
      [OP.ENABLE_QUEUES, rig.select(1)],
      [OP.DISABLE_QUEUES, rig.select(1)],
      [OP.GET_STATS, rig.select(0)],
      [OP.ADD_ETH_ADDR, macs(rig, RIG_MAC)],
      [OP.DEL_ETH_ADDR, macs(rig, RIG_MAC)],
      [OP.ADD_VLAN, buildVlanList({ vsiId: 12, ids: [5] })],
      [OP.DEL_VLAN, buildVlanList({ vsiId: 12, ids: [5] })],
      [OP.CONFIG_RSS_KEY, buildRssKey({ vsiId: 12, key: new Uint8Array(52) })],
      [OP.CONFIG_RSS_LUT, buildRssLut({ vsiId: 12, lut: new Uint8Array(64) })],
    ] as const) {
      expect([opcode, rig.answer(opcode, body).status]).toEqual([opcode, PARAM]);
    }
  });
});

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

describe("link events", () => {
  test("follow GET_VF_RESOURCES and ENABLE_QUEUES, with the speed as negotiated", () => {
    const rig = startedRig();
    rig.answer(OP.ENABLE_QUEUES, rig.select(1));
    const event = rig.messages.at(-1);
    expect(event?.opcode).toBe(OP.EVENT);
    expect(event?.body).toHaveLength(16);
    expect(parseEvent(must(event).body)).toMatchObject({
      event: VF_EVENT.LINK_CHANGE,
      speed: 10_000,
      linkUp: true,
    });
  });

  test("carry a legacy speed bit where the VF was not granted numbers", () => {
    const rig = negotiated({ grantedCaps: VF_CAP.L2, linkSpeed: 40_000 });
    expect(parseEvent(must(rig.messages.at(-1)).body).speed).toBe(0x10);
  });

  test("come when the host changes the link, and a link that is down carries nothing", () => {
    const rig = startedRig();
    rig.messages.length = 0;
    rig.model.control.setLink(false);
    rig.poll();
    expect(parseEvent(must(rig.messages[0]).body)).toMatchObject({ linkUp: false, speed: 0 });
    expect(rig.port.deliver(broadcast)).toBe("queue-disabled");
    rig.putTx(0, 0, ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(60)));
    rig.kickTx(0, 1);
    expect(rig.port.sent).toEqual([]);
    expect(rig.model.truth.linkDown).toBe(1);
  });
});

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
