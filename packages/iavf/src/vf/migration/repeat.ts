import { VfmigError } from "@vfmig/core";
import type { Conversation } from "../../mailbox/conversation.ts";
import type { VlanOffload } from "../../mailbox/vlan-settings.ts";
import { VF_CAP } from "../../virtchnl/capabilities.ts";
import { buildMacList, buildPromiscuous, buildVlanList } from "../../virtchnl/filters.ts";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildIrqMap } from "../../virtchnl/queues.ts";
import { buildRssConfig } from "../../virtchnl/rss-config.ts";
import { buildHena, buildRssHashFunction, buildRssKey, buildRssLut } from "../../virtchnl/rss.ts";
import type { VfResources } from "../../virtchnl/session.ts";
import { buildVlanSetting, buildVlanV2List } from "../../virtchnl/vlan-v2.ts";

/** Elements of one list message; far below what a mailbox buffer holds. */
const CHUNK = 120;

/** One request that a target's PF has to grant. */
export interface RepeatedRequest {
  readonly opcode: number;
  readonly body: Uint8Array;
  /** It may be refused: it asks for what is so already, or for what the guest can do without. */
  readonly optional?: boolean;
}

const NO_BODY = new Uint8Array(0);

/** All that a guest has agreed on with its PF, but for queues, as requests to another one. */
export function repeatedRequests(
  conversation: Conversation,
  granted: VfResources,
): readonly RepeatedRequest[] {
  const { vsiId } = granted;
  return [
    ...macs(conversation, granted),
    ...vlansAndPromiscuous(conversation, vsiId),
    ...vlansV2(conversation, vsiId),
    ...vectors(conversation, vsiId),
    ...rss(conversation, granted),
  ];
}

function macs(conversation: Conversation, { vsiId, mac }: VfResources): RepeatedRequest[] {
  const requests: RepeatedRequest[] = [];
  if (mac !== "00:00:00:00:00:00" && !conversation.macs.has(mac)) {
    const body = buildMacList({ vsiId, filters: [{ mac, kind: 1 }] });
    // A PF may refuse to give its own address up; the guest then hears more than it asked for.
    requests.push({ opcode: VIRTCHNL_OP.DEL_ETH_ADDR, body, optional: true });
  }
  const wanted = Array.from(conversation.macs, ([address, kind]) => ({ mac: address, kind }));
  for (const filters of chunks(wanted.filter((filter) => filter.mac !== mac))) {
    requests.push({
      opcode: VIRTCHNL_OP.ADD_ETH_ADDR,
      body: buildMacList({ vsiId, filters }),
    });
  }
  return requests;
}

/** A VLAN that is added to be deleted. */
const ANY_VLAN = 1;

/**
 * Some PFs let frames of other VLANs (v1) pass or not by whichever was set last, VLANs or a promiscuous
 * mode, so that one goes last here too.
 */
function vlansAndPromiscuous(conversation: Conversation, vsiId: number): RepeatedRequest[] {
  const mode = promiscuous(conversation, vsiId);
  const list = (opcode: number, ids: readonly number[]): RepeatedRequest => ({
    opcode,
    body: buildVlanList({ vsiId, ids }),
  });
  const added = chunks([...conversation.vlans]).map((ids) => list(VIRTCHNL_OP.ADD_VLAN, ids));
  const emptied = [VIRTCHNL_OP.ADD_VLAN, VIRTCHNL_OP.DEL_VLAN].map((it) => list(it, [ANY_VLAN]));
  const filters =
    conversation.vlanWord === "emptied"
      ? [...mode, ...emptied]
      : conversation.vlanWord === "added"
        ? [...mode, ...added]
        : [...added, ...mode];
  return [...filters, ...stripping(conversation)];
}

function stripping({ vlanStripping }: Conversation): RepeatedRequest[] {
  if (vlanStripping === undefined) {
    return [];
  }
  const opcode = vlanStripping
    ? VIRTCHNL_OP.ENABLE_VLAN_STRIPPING
    : VIRTCHNL_OP.DISABLE_VLAN_STRIPPING;
  // After the filters, the first of which makes some PFs strip.
  return [{ opcode, body: NO_BODY }];
}

const OFFLOAD_OPCODES: Readonly<
  Record<VlanOffload["offload"], { readonly on: number; readonly off: number }>
> = {
  stripping: {
    on: VIRTCHNL_OP.ENABLE_VLAN_STRIPPING_V2,
    off: VIRTCHNL_OP.DISABLE_VLAN_STRIPPING_V2,
  },
  insertion: {
    on: VIRTCHNL_OP.ENABLE_VLAN_INSERTION_V2,
    off: VIRTCHNL_OP.DISABLE_VLAN_INSERTION_V2,
  },
};

function vlansV2({ vlanV2 }: Conversation, vport: number): RepeatedRequest[] {
  const filters = chunks(vlanV2.filters).map((part) => ({
    opcode: VIRTCHNL_OP.ADD_VLAN_V2,
    body: buildVlanV2List({ vport, filters: part }),
  }));
  const offloads = vlanV2.offloads.map(({ offload, tag, on, ethertype }) => ({
    opcode: OFFLOAD_OPCODES[offload][on ? "on" : "off"],
    body: buildVlanSetting({ outer: 0, inner: 0, vport, [tag]: ethertype }),
  }));
  return [...filters, ...offloads];
}

function promiscuous(conversation: Conversation, vsiId: number): RepeatedRequest[] {
  if (conversation.promiscuous === undefined) {
    return [];
  }
  const body = buildPromiscuous({ vsiId, flags: conversation.promiscuous });
  return [{ opcode: VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, body }];
}

function vectors({ vectors: known }: Conversation, vsiId: number): RepeatedRequest[] {
  if (known.size === 0) {
    return [];
  }
  const maps = Array.from(known.values(), (map) => ({ ...map, vsiId }));
  return [{ opcode: VIRTCHNL_OP.CONFIG_IRQ_MAP, body: buildIrqMap(maps) }];
}

function rss(conversation: Conversation, granted: VfResources): RepeatedRequest[] {
  const { rssKey, rssFunction, hena, rssFlows } = conversation;
  const { vsiId } = granted;
  const lut = conversation.rssLut ?? defaultLut(conversation, granted);
  return [
    rssFunction === undefined
      ? undefined
      : {
          opcode: VIRTCHNL_OP.CONFIG_RSS_HFUNC,
          body: buildRssHashFunction({ vsiId, algorithm: rssFunction }),
        },
    // Before the flows, all of which it takes away.
    hena === undefined ? undefined : { opcode: VIRTCHNL_OP.SET_RSS_HENA, body: buildHena(hena) },
    ...rssFlows.flows.map((flow) => ({
      opcode: flow.add ? VIRTCHNL_OP.ADD_RSS_CFG : VIRTCHNL_OP.DEL_RSS_CFG,
      body: buildRssConfig(flow),
      // A flow that the PF never had is not hashed already.
      optional: !flow.add,
    })),
    rssKey === undefined
      ? undefined
      : { opcode: VIRTCHNL_OP.CONFIG_RSS_KEY, body: buildRssKey({ vsiId, key: rssKey }) },
    lut === undefined
      ? undefined
      : { opcode: VIRTCHNL_OP.CONFIG_RSS_LUT, body: buildRssLut({ vsiId, lut }) },
  ].filter((request) => request !== undefined);
}

/**
 * Both PFs spread frames over all pairs of a VF until a table is set. Where this host's has another
 * number of them, the guest's number has to be told.
 */
function defaultLut(
  { resources }: Conversation,
  { queuePairs, caps, rssLutSize }: VfResources,
): Uint8Array | undefined {
  const pairs = resources?.queuePairs ?? queuePairs;
  if (pairs === queuePairs || pairs === 0 || (caps & VF_CAP.RSS_PF) === 0) {
    return undefined;
  }
  return Uint8Array.from({ length: rssLutSize }, (_, entry) => entry % pairs);
}

/** True for a refusal that {@link RepeatedRequest.optional} allows. */
export function isRefusal(error: unknown): boolean {
  return VfmigError.is(error) && error.code === "ERR_VFMIG_PF_REFUSED";
}

function chunks<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, index) =>
    items.slice(index * CHUNK, (index + 1) * CHUNK),
  );
}
