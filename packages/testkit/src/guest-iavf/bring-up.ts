import {
  buildIrqMap,
  buildMacList,
  buildQueueConfig,
  buildQueueSelect,
  buildRssKey,
  buildRssLut,
  buildVlanList,
  buildVlanSetting,
  buildVlanV2List,
  DEFAULT_HENA,
  MAC_KIND,
  NO_VLAN_TAG,
  VF_CAP,
  VF_REGISTER,
  type VfResources,
  VIRTCHNL_OP,
  VLAN_SUPPORT,
  type VlanSupport,
} from "@vfmig/iavf";
import { ETHERTYPE } from "../traffic/ethernet.ts";
import type { GuestDriverOptions } from "../guest/options.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import type { Granted } from "./granted.ts";
import type { QueueSet } from "./queue-set.ts";
import type { GuestRequest } from "./requests.ts";
import { receiveSizes, type Sizes } from "./sizes.ts";

export const NO_MAC = "00:00:00:00:00:00";

/** The same key in every guest, so that a run can be repeated. */
const RSS_KEY: Uint8Array = Uint8Array.from({ length: 64 }, (_, i) => (i * 167 + 29) & 0xff);

/** What the requests of a bring-up are made of. */
export interface BringUp extends Granted, Sizes {
  readonly mac: string;
  readonly multicast: readonly string[];
  readonly vlans: readonly number[];
  readonly queues: QueueSet;
}

/** @param before - the plan before a reset: a guest keeps the address that it chose itself */
export function planOf(
  granted: Granted,
  sizes: Sizes,
  queues: QueueSet,
  options: GuestDriverOptions,
  before: BringUp | undefined,
): BringUp {
  const { multicast = [], vlans = [] } = options;
  const own = before?.mac ?? options.mac ?? "02:00:00:00:00:0a";
  const mac = granted.resources.mac === NO_MAC ? own : granted.resources.mac;
  return { ...granted, ...sizes, mac, multicast, vlans, queues };
}

type Request = Omit<GuestRequest, "done">;

/** Requests of iavf when it comes up, in their order, up to ENABLE_QUEUES. */
export function bringUpRequests(plan: BringUp): Request[] {
  const rss = (plan.resources.caps & VF_CAP.RSS_PF) !== 0;
  return [
    irqMapRequest(plan),
    ...(rss ? rssRequests(plan) : []),
    ...vlanRequests(plan),
    ...vlanFilters(plan),
    macRequest(plan, [plan.mac], MAC_KIND.PRIMARY),
    { operation: VIRTCHNL_OP.CONFIG_VSI_QUEUES, body: () => queueConfigBody(plan) },
    queuesRequest(VIRTCHNL_OP.ENABLE_QUEUES, plan),
  ];
}

export function queuesRequest(operation: number, { resources, queues }: BringUp): Request {
  const all = 2 ** queues.tx.length - 1;
  const select = { vsiId: resources.vsiId, rxQueues: all, txQueues: all };
  return { operation, body: () => buildQueueSelect(select) };
}

export function statsRequest({ vsiId }: VfResources): Request {
  const select = { vsiId, rxQueues: 0, txQueues: 0 };
  return { operation: VIRTCHNL_OP.GET_STATS, body: () => buildQueueSelect(select) };
}

export function macRequest(plan: BringUp, macs: readonly string[], kind: number): Request {
  const { vsiId } = plan.resources;
  const filters = macs.map((mac) => ({ mac, kind }));
  return { operation: VIRTCHNL_OP.ADD_ETH_ADDR, body: () => buildMacList({ vsiId, filters }) };
}

/** Without RSS_PF the driver writes the hash types, the key and the table into the function itself. */
export function writeRssRegisters(plan: BringUp, slot: PciSlot): void {
  if ((plan.resources.caps & VF_CAP.RSS_PF) !== 0) return;
  if ((plan.resources.caps & VF_CAP.RSS_REG) === 0) return;
  slot.write32(VF_REGISTER.VFQF_HENA, Number(DEFAULT_HENA & 0xffff_ffffn));
  slot.write32(VF_REGISTER.VFQF_HENA + 4, Number(DEFAULT_HENA >> 32n));
  const words = (register: number, bytes: Uint8Array): void => {
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      slot.write32(register + at, data.getUint32(at, true));
    }
  };
  words(VF_REGISTER.VFQF_HKEY, RSS_KEY.slice(0, plan.resources.rssKeySize));
  words(VF_REGISTER.VFQF_HLUT, lutOf(plan));
}

function rssRequests(plan: BringUp): Request[] {
  const { vsiId, rssKeySize } = plan.resources;
  const key = RSS_KEY.slice(0, rssKeySize);
  return [
    { operation: VIRTCHNL_OP.CONFIG_RSS_KEY, body: () => buildRssKey({ vsiId, key }) },
    {
      operation: VIRTCHNL_OP.CONFIG_RSS_LUT,
      body: () => buildRssLut({ vsiId, lut: lutOf(plan) }),
    },
  ];
}

/** Switches stripping and insertion on, of the outer tag where there is that, else of the inner one. */
function vlanRequests({ resources, vlan }: BringUp): Request[] {
  if (vlan === undefined) return [];
  const request = (operation: number, support: VlanSupport): Request[] => {
    const place = (support.outer & vlan.offloadInit) === 0 ? "inner" : "outer";
    // Only what may be toggled is asked for.
    if ((support[place] & VLAN_SUPPORT.TOGGLE) === 0) return [];
    const setting = { outer: 0, inner: 0, vport: resources.vsiId, [place]: vlan.offloadInit };
    return [{ operation, body: () => buildVlanSetting(setting) }];
  };
  return [
    ...request(VIRTCHNL_OP.ENABLE_VLAN_STRIPPING_V2, vlan.stripping),
    ...request(VIRTCHNL_OP.ENABLE_VLAN_INSERTION_V2, vlan.insertion),
  ];
}

/** The VLANs that the guest is in; without V2 the first filter also has tags stripped. */
function vlanFilters({ resources, vlan, vlans }: BringUp): Request[] {
  if (vlans.length === 0) return [];
  if (vlan === undefined) {
    if ((resources.caps & VF_CAP.VLAN) === 0) return [];
    const body = (): Uint8Array => buildVlanList({ vsiId: resources.vsiId, ids: vlans });
    return [{ operation: VIRTCHNL_OP.ADD_VLAN, body }];
  }
  const outer = (vlan.filtering.outer & VLAN_SUPPORT.ETHERTYPE_8100) !== 0;
  const filters = vlans.map((tci) => {
    const tag = { tci, tciMask: 0, tpid: ETHERTYPE.VLAN };
    return outer ? { outer: tag, inner: NO_VLAN_TAG } : { inner: tag, outer: NO_VLAN_TAG };
  });
  const body = (): Uint8Array => buildVlanV2List({ vport: resources.vsiId, filters });
  return [{ operation: VIRTCHNL_OP.ADD_VLAN_V2, body }];
}

function lutOf({ resources, queues }: BringUp): Uint8Array {
  const pairs = queues.tx.length;
  return Uint8Array.from({ length: resources.rssLutSize }, (_, entry) => entry % pairs);
}

function irqMapRequest({ resources, queues }: BringUp): Request {
  const { vsiId } = resources;
  const bits = (rings: readonly { readonly queue: number }[]): number =>
    rings.reduce((mask, { queue }) => mask | (1 << queue), 0);
  const maps = queues.vectors.map(({ vector, rx, tx }) => ({
    vsiId,
    vector,
    rxQueues: bits(rx),
    txQueues: bits(tx),
    rxItr: 0,
    txItr: 1,
  }));
  const mailbox = { vsiId, vector: 0, rxQueues: 0, txQueues: 0, rxItr: 0, txItr: 0 };
  return {
    operation: VIRTCHNL_OP.CONFIG_IRQ_MAP,
    body: () => buildIrqMap([...maps, mailbox]),
  };
}

function queueConfigBody(plan: BringUp): Uint8Array {
  const { vsiId, maxFrame } = plan.resources;
  const { buffer, maxPacket } = receiveSizes(plan.mtu, maxFrame);
  const pairs = plan.queues.tx.map(({ queue, iova }) => ({
    tx: {
      vsiId,
      queue,
      length: plan.ringSize,
      headWriteBack: false,
      base: iova,
      headAddress: 0,
    },
    rx: {
      vsiId,
      queue,
      length: plan.ringSize,
      headerSize: 0,
      split: false,
      bufferSize: buffer,
      maxPacket,
      crcDisable: 0,
      rxdid: plan.rxdid,
      flags: 0,
      base: plan.queues.rx[queue]?.iova ?? 0,
      splitPosition: 0,
    },
  }));
  return buildQueueConfig({ vsiId, pairs });
}
