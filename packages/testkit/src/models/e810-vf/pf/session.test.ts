import {
  AQ_LENGTH,
  ARQ_REGISTERS,
  IAVF_6_1_CAPS,
  IAVF_7_2_CAPS,
  RESOURCES_LENGTH,
  RSTAT,
  STATS_LENGTH,
  VF_CAP,
  VF_REGISTER,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildQuanta,
  buildQueueRates,
  buildRequestQueues,
  buildResourcesRequest,
  buildVersion,
  capabilityNames,
  parseQosCaps,
  parseRequestQueues,
  parseResources,
  parseStats,
  parseSupportedRxdids,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { rigsOf, type Rig, type RigOptions } from "../../intel-vf/testing/rig.ts";

const { NOT_SUPPORTED, PARAM, SUCCESS } = VIRTCHNL_STATUS;
const { newRig, startedRig } = rigsOf("e810-vf");

function negotiated(caps: number = IAVF_7_2_CAPS, options: RigOptions = {}): Rig {
  const rig = newRig(options);
  rig.negotiate(caps);
  return rig;
}

describe("GET_VF_RESOURCES of ice", () => {
  test("is 36 bytes with VSI 1, 16 pairs, 17 vectors and the longest frame", () => {
    const rig = newRig();
    const resources = rig.negotiate();
    const reply = rig.messages.find(({ opcode }) => opcode === OP.GET_VF_RESOURCES);
    expect(reply?.body).toHaveLength(RESOURCES_LENGTH.ICE);
    expect(resources).toMatchObject({
      vsiId: 1,
      vsiType: 6,
      queuePairs: 16,
      maxVectors: 17,
      maxFrame: 9728,
      rssKeySize: 52,
      rssLutSize: 64,
    });
  });

  test("grants Linux 6.1 what ice has of its wishes", () => {
    expect(capabilityNames(newRig().negotiate(IAVF_6_1_CAPS).caps)).toEqual([
      "L2",
      "WB_ON_ITR",
      "REQ_QUEUES",
      "ADV_LINK_SPEED",
      "VLAN_V2",
      "RSS_PCTYPE_V2",
      "RSS_PF",
      "ENCAP",
      "ENCAP_CSUM",
      "USO",
      "ADV_RSS_PF",
    ]);
  });

  test("adds formats and check sequences for 7.2, and never flow director, RDMA or PTP", () => {
    const asked = (IAVF_7_2_CAPS | VF_CAP.RDMA) >>> 0;
    const more = capabilityNames(newRig().negotiate(asked).caps);
    expect(more).toEqual(expect.arrayContaining(["CRC", "RX_FLEX_DESC"]));
    for (const name of ["FDIR_PF", "TC_U32", "RDMA", "PTP", "QOS", "RSS_REG", "RSS_AQ", "ADQ"]) {
      expect(more).not.toContain(name);
    }
  });

  test("gives VLAN only without VLAN V2, and not in double VLAN mode", () => {
    const v1 = VF_CAP.L2 | VF_CAP.VLAN;
    expect(capabilityNames(newRig().negotiate(v1).caps)).toEqual(["L2", "VLAN"]);
    expect(capabilityNames(newRig({ doubleVlan: true }).negotiate(v1).caps)).toEqual(["L2"]);
    const both = v1 | VF_CAP.VLAN_V2;
    expect(capabilityNames(newRig().negotiate(both).caps)).toEqual(["L2", "VLAN_V2"]);
  });

  test("may be asked again, and the last answer counts", () => {
    const rig = negotiated();
    const again = rig.answer(OP.GET_VF_RESOURCES, buildResourcesRequest(VF_CAP.L2));
    expect(again.status).toBe(SUCCESS);
    expect(capabilityNames(parseResources(again.body).caps)).toEqual(["L2"]);
    expect(rig.answer(OP.GET_RSS_HENA_CAPS).status).toBe(NOT_SUPPORTED);
  });

  test("takes a driver of 1.0 to want layer 2 and VLANs", () => {
    const rig = newRig();
    rig.setBusMaster(true);
    rig.mapMemory();
    rig.openMailbox();
    rig.answer(OP.VERSION, buildVersion({ major: 1, minor: 0 }));
    expect(rig.answer(OP.GET_VF_RESOURCES, buildResourcesRequest(1)).status).toBe(PARAM);
    const { caps } = parseResources(rig.answer(OP.GET_VF_RESOURCES).body);
    expect(capabilityNames(caps)).toEqual(["L2", "VLAN"]);
  });
});

describe("the list of operations that ice looks at", () => {
  test("holds only three before GET_VF_RESOURCES", () => {
    const rig = newRig();
    rig.setBusMaster(true);
    rig.mapMemory();
    rig.openMailbox();
    const taken: number[] = [];
    for (let opcode = 1; opcode < 135; opcode++) {
      if (opcode === OP.RESET_VF) continue;
      if (rig.answer(opcode).status !== NOT_SUPPORTED) taken.push(opcode);
    }
    // GET_VF_RESOURCES comes early in the loop: what follows it is L2's and VLAN's, and no more.
    expect(taken).toEqual([
      OP.VERSION,
      OP.GET_VF_RESOURCES,
      OP.CONFIG_VSI_QUEUES,
      OP.CONFIG_IRQ_MAP,
      OP.ENABLE_QUEUES,
      OP.DISABLE_QUEUES,
      OP.ADD_ETH_ADDR,
      OP.DEL_ETH_ADDR,
      OP.ADD_VLAN,
      OP.DEL_VLAN,
      OP.CONFIG_PROMISCUOUS_MODE,
      OP.GET_STATS,
      OP.ENABLE_VLAN_STRIPPING,
      OP.DISABLE_VLAN_STRIPPING,
    ]);
  });

  test("is the short one again after a reset", () => {
    const rig = negotiated();
    expect(rig.answer(OP.GET_STATS, rig.select(0)).status).toBe(SUCCESS);
    rig.ask(OP.RESET_VF);
    rig.clock.advance(20);
    rig.openMailbox();
    expect(rig.answer(OP.GET_STATS, rig.select(0)).status).toBe(NOT_SUPPORTED);
  });

  test.each([
    ["CONFIG_RSS_KEY", OP.CONFIG_RSS_KEY, VF_CAP.RSS_PF],
    ["ADD_VLAN_V2", OP.ADD_VLAN_V2, VF_CAP.VLAN_V2],
    ["REQUEST_QUEUES", OP.REQUEST_QUEUES, VF_CAP.REQ_QUEUES],
    ["GET_SUPPORTED_RXDIDS", OP.GET_SUPPORTED_RXDIDS, VF_CAP.RX_FLEX_DESC],
    ["ADD_RSS_CFG", OP.ADD_RSS_CFG, VF_CAP.ADV_RSS_PF],
  ])("opens %s by its capability alone", (_, opcode, capability) => {
    const without = negotiated((IAVF_7_2_CAPS & ~capability) >>> 0);
    expect(without.answer(opcode, new Uint8Array(1)).status).toBe(NOT_SUPPORTED);
    expect(negotiated().answer(opcode, new Uint8Array(1)).status).toBe(PARAM);
  });

  test.each([
    ["RDMA", OP.RDMA],
    ["flow director", OP.ADD_FDIR_FILTER],
    ["channels", OP.ENABLE_CHANNELS],
    ["cloud filters", OP.ADD_CLOUD_FILTER],
    ["PTP", OP.PTP_GET_CAPS],
    ["VLAN filtering by ethertype", OP.ENABLE_VLAN_FILTERING_V2],
    ["QOS that was not granted", OP.GET_QOS_CAPS],
    ["a number beyond all", 4_000_000_000],
  ])("never holds %s", (_, opcode) => {
    expect(negotiated(0xffff_ffff).answer(opcode).status).toBe(NOT_SUPPORTED);
  });
});

describe("further answers of ice", () => {
  test("statistics have 96 bytes, also with a refusal", () => {
    const rig = negotiated();
    const reply = rig.answer(OP.GET_STATS, rig.select(0));
    expect(reply.body).toHaveLength(STATS_LENGTH.BASIC);
    expect(parseStats(reply.body).rxBytes).toBe(0n);
    rig.vsiId = 2;
    const wrong = rig.answer(OP.GET_STATS, rig.select(0));
    expect([wrong.status, wrong.body.length]).toEqual([PARAM, STATS_LENGTH.BASIC]);
  });

  test("write-back formats are the legacy one of 32 bytes and the flexible NIC", () => {
    const reply = negotiated().answer(OP.GET_SUPPORTED_RXDIDS);
    expect(parseSupportedRxdids(reply.body)).toBe(0b110n);
  });

  test("a request of no queues is answered with none, one of too many with the most", () => {
    const rig = negotiated(IAVF_7_2_CAPS, { maxQueuePairs: 8 });
    const ask = (pairs: number): number =>
      parseRequestQueues(rig.answer(OP.REQUEST_QUEUES, buildRequestQueues(pairs)).body);
    expect([ask(0), ask(9)]).toEqual([0, 8]);
    expect(rig.ask(OP.REQUEST_QUEUES, buildRequestQueues(3))).toBeUndefined();
    rig.clock.advance(20);
    expect(rig.renegotiate().queuePairs).toBe(3);
  });

  test("with QOS: one strict class for all priorities, quanta and rates within their limits", () => {
    const rig = negotiated(IAVF_7_2_CAPS, { qos: true });
    const { classes } = parseQosCaps(rig.answer(OP.GET_QOS_CAPS).body);
    expect(classes).toEqual([
      { trafficClass: 0, priorities: 0xff, arbiter: 0, weight: 0, committed: 0, peak: 0 },
    ]);
    const quanta = (value: number, queues = 16): number =>
      rig.answer(OP.CONFIG_QUANTA, buildQuanta({ quanta: value, firstQueue: 0, queues })).status;
    expect([quanta(1024), quanta(1024, 17), quanta(1000), quanta(192), quanta(4160)]).toEqual([
      SUCCESS,
      PARAM,
      PARAM,
      PARAM,
      PARAM,
    ]);
    const rate = (queue: number, trafficClass: number): number => {
      const rates = [{ queue, trafficClass, committed: 1000, peak: 2000 }];
      return rig.answer(OP.CONFIG_QUEUE_BW, buildQueueRates({ vsiId: 1, rates })).status;
    };
    expect([rate(0, 0), rate(17, 0), rate(0, 8)]).toEqual([SUCCESS, PARAM, PARAM]);
  });
});

describe("a reset of an E810's VF", () => {
  test("by FLR leaves the lengths to the PF driver, which clears them when it is told", async () => {
    const rig = startedRig();
    await rig.device.reset();
    expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
    expect(rig.read(ARQ_REGISTERS.len) & AQ_LENGTH.ENABLE).not.toBe(0);
    rig.clock.runSoon();
    expect(rig.read(ARQ_REGISTERS.len)).toBe(0);
  });

  test("by the VF's request has the PF clear them itself", () => {
    const rig = startedRig();
    rig.ask(OP.RESET_VF);
    expect(rig.read(ARQ_REGISTERS.len)).toBe(0);
  });

  test("that is closed meanwhile leaves no timer", async () => {
    const rig = startedRig();
    rig.clock.runSoon();
    await rig.device.reset();
    await rig.device[Symbol.asyncDispose]();
    expect(rig.clock.waiting).toBe(0);
  });
});

describe("the receive ring's base on E810", () => {
  test("reads back whole, though its low six bits are no address", () => {
    const rig = negotiated();
    const base = rig.read(ARQ_REGISTERS.bal);
    rig.write(ARQ_REGISTERS.bal, base | 0x3f);
    expect(rig.read(ARQ_REGISTERS.bal)).toBe((base | 0x3f) >>> 0);
    expect(rig.answer(OP.VERSION, buildVersion()).status).toBe(SUCCESS);
  });
});
