import {
  NO_VLAN_TAG,
  QUEUE_CONFIG,
  QUEUE_PAIR_FIELD,
  RX_STATUS,
  TX_COMMAND,
  TX_CONTEXT_COMMAND,
  VF_CAP,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  VLAN_SUPPORT,
  buildVlanSetting,
  buildVlanV2List,
  parseVlanCaps,
  rxSecondTag,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { rigsOf, type Rig, type RigOptions } from "../../intel-vf/testing/rig.ts";
import { VSI, plain, tags } from "./testing/filters.ts";
import { outward, received } from "../../intel-vf/testing/plain-frames.ts";

const ownFrame = outward(64, 3);

const { NOT_SUPPORTED, PARAM, SUCCESS } = VIRTCHNL_STATUS;

const { EOP, RS, IL2TAG1 } = TX_COMMAND;

const { newRig, startedRig } = rigsOf("e810-vf");

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
    rig.putTx(0, 1, ownFrame, EOP | RS | IL2TAG1, 5);
    rig.kickTx(0, 2);
    expect(rig.port.sent).toEqual([tags(ownFrame, [0x8100, 5])]);
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
      rig.putTx(0, place, ownFrame, EOP | RS | IL2TAG1, tag);
      rig.kickTx(0, place + 1);
      return rig.port.sent.length;
    };
    expect(send(0, 6)).toBe(1);
    rig.answer(OP.ADD_VLAN_V2, inner(5));
    expect([send(1, 5), send(2, 6)]).toEqual([2, 2]);
    rig.putTx(0, 3, tags(ownFrame, [0x8100, 6]));
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
      rig.putTx(0, place + 1, ownFrame);
      rig.kickTx(0, place + 2);
    };
    send(0);
    rig.answer(OP.ENABLE_VLAN_INSERTION_V2, setting({ outer: S_TAG }));
    send(2);
    rig.answer(OP.DISABLE_VLAN_INSERTION_V2, setting({ outer: S_TAG }));
    send(4);
    expect(rig.port.sent).toEqual([ownFrame, tags(ownFrame, [0x88a8, 77]), ownFrame]);
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
