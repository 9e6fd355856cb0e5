import { macFromString } from "../virtchnl/body.ts";
import { parseMacList, parsePromiscuous, parseVlanList } from "../virtchnl/filters.ts";
import { VIRTCHNL_OP } from "../virtchnl/opcodes.ts";
import {
  parseIrqMap,
  parseQueueConfig,
  parseQueueSelect,
  type QueuePairConfig,
  type VectorMap,
} from "../virtchnl/queues.ts";
import { parsePtpCaps } from "../virtchnl/ptp.ts";
import { parseHena, parseRssHashFunction, parseRssKey, parseRssLut } from "../virtchnl/rss.ts";
import { parseSupportedRxdids } from "../virtchnl/rx-formats.ts";
import {
  parseResources,
  parseResourcesRequest,
  parseVersion,
  type VfResources,
  type VirtchnlVersion,
} from "../virtchnl/session.ts";
import { parseVlanCaps, type VlanCaps } from "../virtchnl/vlan-v2.ts";
import { RssFlows } from "./rss-flows.ts";
import { Statistics } from "./statistics.ts";
import { VlanSettings } from "./vlan-settings.ts";

/** Requests that change nothing which a target would need. */
const ASKING: ReadonlySet<number> = new Set([
  VIRTCHNL_OP.GET_STATS,
  VIRTCHNL_OP.GET_RSS_HENA_CAPS,
  VIRTCHNL_OP.GET_QOS_CAPS,
  // An accepted one is not answered but ends in a reset; a refused one changes nothing.
  VIRTCHNL_OP.REQUEST_QUEUES,
]);

/** The last VLAN (v1) was deleted, one was added, or a promiscuous mode was set. */
export type VlanWord = "emptied" | "added" | "promiscuous";

export interface ConversationOptions {
  /** The PF switches stripping on with each ADD_VLAN. Default false. */
  readonly vlansStrip?: boolean;
}

/**
 * What a guest and its PF have agreed on, as far as a target must know it. Fed with every request
 * that the PF granted, in order.
 */
export class Conversation {
  readonly #vlansStrip: boolean;
  /** Survives a VF reset, as it does in the PF. */
  version: VirtchnlVersion | undefined;
  /** Capability bits as the guest asked for them. */
  capsAsked: number | undefined;
  /** The answer as the guest got it, its VSI id included. */
  resources: VfResources | undefined;
  /** Capability bits that this host's PF granted, what the guest was not shown included. */
  hostCaps = 0;
  /** What the guest was told of VLAN V2. */
  vlanCaps: VlanCaps | undefined;
  /** Rx formats that the guest was told of: bit n is RXDID n. */
  rxFormats: bigint | undefined;
  readonly pairs: Map<number, QueuePairConfig> = new Map();
  readonly vectors: Map<number, VectorMap> = new Map();
  rxEnabled = 0;
  txEnabled = 0;
  /** Kind of each address that passes the filter, by address. */
  readonly macs: Map<string, number> = new Map();
  readonly vlans: Set<number> = new Set();
  promiscuous: number | undefined;
  /** What had the last word on whether frames of other VLANs (v1) pass. */
  vlanWord: VlanWord | undefined;
  rssKey: Uint8Array | undefined;
  rssLut: Uint8Array | undefined;
  rssFunction: number | undefined;
  hena: bigint | undefined;
  /** ENABLE_ and DISABLE_VLAN_STRIPPING of VLAN v1. */
  vlanStripping: boolean | undefined;
  readonly vlanV2: VlanSettings = new VlanSettings();
  readonly rssFlows: RssFlows = new RssFlows();
  readonly statistics: Statistics = new Statistics();
  /** Operations that succeeded and that nobody here can repeat on a target. */
  readonly uncarried: Set<number> = new Set();

  constructor(options: ConversationOptions = {}) {
    this.#vlansStrip = options.vlansStrip ?? false;
  }

  /** A VF reset ends all that was agreed on, but for the version. */
  reset(): void {
    this.capsAsked = undefined;
    this.resources = undefined;
    this.hostCaps = 0;
    this.vlanCaps = undefined;
    this.rxFormats = undefined;
    this.pairs.clear();
    this.vectors.clear();
    this.rxEnabled = 0;
    this.txEnabled = 0;
    this.macs.clear();
    this.vlans.clear();
    this.promiscuous = undefined;
    this.vlanWord = undefined;
    this.rssKey = undefined;
    this.rssLut = undefined;
    this.rssFunction = undefined;
    this.hena = undefined;
    this.vlanStripping = undefined;
    this.vlanV2.clear();
    this.rssFlows.clear();
    this.statistics.clear();
    this.uncarried.clear();
  }

  /** The host took the device back or the client went: nothing is left. */
  clear(): void {
    this.reset();
    this.version = undefined;
  }

  /**
   * The PF granted `request`, the guest's own bytes; `reply` is what the guest gets.
   * @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` where the PF granted what it should not have
   */
  granted(opcode: number, request: Uint8Array, reply: Uint8Array): void {
    let known = false;
    try {
      known =
        ASKING.has(opcode) ||
        this.#session(opcode, request, reply) ||
        this.#offers(opcode, reply) ||
        this.#queues(opcode, request) ||
        this.#filters(opcode, request) ||
        this.vlanV2.granted(opcode, request) ||
        this.#rss(opcode, request);
    } finally {
      // What is not understood cannot be repeated either.
      if (!known) {
        this.uncarried.add(opcode);
      }
    }
  }

  #offers(opcode: number, reply: Uint8Array): boolean {
    switch (opcode) {
      case VIRTCHNL_OP.GET_OFFLOAD_VLAN_V2_CAPS:
        this.vlanCaps = parseVlanCaps(reply);
        return true;
      case VIRTCHNL_OP.GET_SUPPORTED_RXDIDS:
        this.rxFormats = parseSupportedRxdids(reply);
        return true;
      case VIRTCHNL_OP.PTP_GET_CAPS:
        // An answer that grants nothing leaves nothing to carry.
        return parsePtpCaps(reply) === 0;
      default:
        return false;
    }
  }

  #session(opcode: number, request: Uint8Array, reply: Uint8Array): boolean {
    if (opcode === VIRTCHNL_OP.VERSION) {
      this.version = parseVersion(reply);
      return true;
    }
    if (opcode === VIRTCHNL_OP.GET_VF_RESOURCES) {
      const first = this.resources === undefined;
      this.resources = parseResources(reply);
      this.capsAsked = request.length === 4 ? parseResourcesRequest(request) : undefined;
      // A PF remembers the version through a reset of the function, and a driver need not say it again;
      // only one of 1.1 names capabilities.
      this.version ??= { major: 1, minor: this.capsAsked === undefined ? 0 : 1 };
      // The PF lets the address that it hands out pass without being asked.
      if (first && macFromString(this.resources.mac).some((byte) => byte !== 0)) {
        this.macs.set(this.resources.mac, 1);
      }
      return true;
    }
    return false;
  }

  #queues(opcode: number, request: Uint8Array): boolean {
    switch (opcode) {
      case VIRTCHNL_OP.CONFIG_VSI_QUEUES:
        for (const pair of parseQueueConfig(request).pairs) {
          this.pairs.set(pair.tx.queue, pair);
        }
        return true;
      case VIRTCHNL_OP.CONFIG_IRQ_MAP:
        for (const map of parseIrqMap(request)) {
          this.vectors.set(map.vector, map);
        }
        return true;
      case VIRTCHNL_OP.ENABLE_QUEUES: {
        const select = parseQueueSelect(request);
        this.rxEnabled |= select.rxQueues;
        this.txEnabled |= select.txQueues;
        return true;
      }
      case VIRTCHNL_OP.DISABLE_QUEUES: {
        const select = parseQueueSelect(request);
        this.rxEnabled &= ~select.rxQueues;
        this.txEnabled &= ~select.txQueues;
        return true;
      }
      default:
        return false;
    }
  }

  #filters(opcode: number, request: Uint8Array): boolean {
    switch (opcode) {
      case VIRTCHNL_OP.ADD_ETH_ADDR:
        for (const { mac, kind } of parseMacList(request).filters) {
          this.macs.set(mac, kind);
        }
        return true;
      case VIRTCHNL_OP.DEL_ETH_ADDR:
        for (const { mac } of parseMacList(request).filters) {
          this.macs.delete(mac);
        }
        return true;
      case VIRTCHNL_OP.ADD_VLAN:
        for (const id of parseVlanList(request).ids) {
          this.vlans.add(id);
        }
        this.vlanWord = "added";
        if (this.#vlansStrip) {
          this.vlanStripping = true;
        }
        return true;
      case VIRTCHNL_OP.DEL_VLAN: {
        const deleted = parseVlanList(request).ids.filter((id) => this.vlans.delete(id));
        if (deleted.length > 0 && this.vlans.size === 0) {
          this.vlanWord = "emptied";
        }
        return true;
      }
      case VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE:
        this.promiscuous = parsePromiscuous(request).flags;
        this.vlanWord = "promiscuous";
        return true;
      case VIRTCHNL_OP.ENABLE_VLAN_STRIPPING:
      case VIRTCHNL_OP.DISABLE_VLAN_STRIPPING:
        this.vlanStripping = opcode === VIRTCHNL_OP.ENABLE_VLAN_STRIPPING;
        return true;
      default:
        return false;
    }
  }

  #rss(opcode: number, request: Uint8Array): boolean {
    switch (opcode) {
      case VIRTCHNL_OP.CONFIG_RSS_KEY:
        this.rssKey = parseRssKey(request).key;
        return true;
      case VIRTCHNL_OP.CONFIG_RSS_LUT:
        this.rssLut = parseRssLut(request).lut;
        return true;
      case VIRTCHNL_OP.CONFIG_RSS_HFUNC:
        this.rssFunction = parseRssHashFunction(request).algorithm;
        return true;
      case VIRTCHNL_OP.SET_RSS_HENA:
        this.hena = parseHena(request);
        // A PF forgets all flows that were set up before.
        this.rssFlows.clear();
        return true;
      case VIRTCHNL_OP.ADD_RSS_CFG:
      case VIRTCHNL_OP.DEL_RSS_CFG:
        return this.rssFlows.change(opcode === VIRTCHNL_OP.ADD_RSS_CFG, request);
      default:
        return false;
    }
  }
}
