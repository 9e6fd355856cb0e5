import {
  IAVF_7_2_CAPS,
  RESOURCES_LENGTH,
  VF_CAP,
  VF_EVENT,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildHena,
  buildPromiscuous,
  buildRequestQueues,
  buildResourcesRequest,
  buildRssKey,
  buildRssLut,
  buildVersion,
  buildVlanList,
  capabilityNames,
  parseEvent,
  parseResources,
  parseVersion,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet, must } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, Rig, startedRig } from "../../intel-vf/testing/rig.ts";
import { negotiated, macs, broadcast } from "./testing/messages.ts";

const { PARAM, NOT_SUPPORTED } = VIRTCHNL_STATUS;

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
