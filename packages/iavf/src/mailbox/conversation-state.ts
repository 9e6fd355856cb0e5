import { z } from "zod";
import { fromHex, toHex } from "../hex.ts";
import type {
  QueuePairConfig,
  RxQueueConfig,
  TxQueueConfig,
  VectorMap,
} from "../virtchnl/queues.ts";
import type { VfResources, VirtchnlVersion } from "../virtchnl/session.ts";
import { STATISTICS_MAX_WORDS } from "../virtchnl/statistics.ts";
import type { VlanCaps, VlanSupport, VlanTag, VlanV2Filter } from "../virtchnl/vlan-v2.ts";
import type { Conversation, VlanWord } from "./conversation.ts";
import type { RssFlow } from "./rss-flows.ts";
import type { VlanOffload } from "./vlan-settings.ts";

const u8 = z.int().min(0).max(0xff);
const u16 = z.int().min(0).max(0xffff);
const u32 = z.int().min(0).max(0xffff_ffff);
const address = z
  .int()
  .min(0)
  .max(2 ** 52);
const mac = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/u);
const hexBytes = z
  .string()
  .max(1024)
  .regex(/^([0-9a-f]{2})*$/u);
const queue = z.int().min(0).max(15);
/** Descriptors of a ring: what the PF takes. */
const ringLength = z.int().min(0).max(8192);

const tx: z.ZodType<TxQueueConfig> = z.strictObject({
  vsiId: u16,
  queue,
  length: ringLength,
  headWriteBack: z.boolean(),
  base: address,
  headAddress: address,
});

const rx: z.ZodType<RxQueueConfig> = z.strictObject({
  vsiId: u16,
  queue,
  length: ringLength,
  headerSize: u16,
  split: z.boolean(),
  bufferSize: u32,
  maxPacket: u32,
  crcDisable: u8,
  rxdid: u8,
  flags: u8,
  base: address,
  splitPosition: z.int().min(-0x8000_0000).max(0x7fff_ffff),
});

const vector: z.ZodType<VectorMap> = z.strictObject({
  vsiId: u16,
  vector: z.int().min(0).max(1023),
  rxQueues: u16,
  txQueues: u16,
  rxItr: u16,
  txItr: u16,
});

const resources: z.ZodType<VfResources> = z.strictObject({
  queuePairs: u16,
  maxVectors: u16,
  maxFrame: u16,
  caps: u32,
  rssKeySize: u32,
  rssLutSize: u32,
  vsiId: u16,
  vsiType: z.int(),
  qset: u16,
  mac,
});

const support: z.ZodType<VlanSupport> = z.strictObject({ outer: u32, inner: u32 });

const vlanCaps: z.ZodType<VlanCaps> = z.strictObject({
  filtering: support,
  filteringInit: u32,
  maxFilters: u16,
  stripping: support,
  insertion: support,
  offloadInit: u32,
  ethertypeMatch: u8,
});

const vlanTag: z.ZodType<VlanTag> = z.strictObject({ tci: u16, tciMask: u16, tpid: u16 });
const vlanFilter: z.ZodType<VlanV2Filter> = z.strictObject({ inner: vlanTag, outer: vlanTag });

const vlanOffload: z.ZodType<VlanOffload> = z.strictObject({
  offload: z.enum(["stripping", "insertion"]),
  tag: z.enum(["outer", "inner"]),
  on: z.boolean(),
  ethertype: u32,
});

const rssFlow: z.ZodType<RssFlow> = z.strictObject({
  add: z.boolean(),
  tunnelLevel: u8,
  headers: z
    .array(z.strictObject({ type: z.int().min(-0x8000_0000).max(0x7fff_ffff), fields: u32 }))
    .max(32),
  algorithm: z.int().min(-0x8000_0000).max(0x7fff_ffff),
});

/** 64 bits as 16 hex digits, highest first. */
const word = z.string().regex(/^[0-9a-f]{16}$/u);

/** A conversation, as a saved device carries it. */
export const conversationSchema: z.ZodType<ConversationState> = z.strictObject({
  version: z.strictObject({ major: u32, minor: u32 }).optional(),
  capsAsked: u32.optional(),
  resources: resources.optional(),
  pairs: z.array(z.strictObject({ tx, rx })).max(16),
  vectors: z.array(vector).max(64),
  rxEnabled: u32,
  txEnabled: u32,
  macs: z.array(z.strictObject({ mac, kind: u8 })).max(4096),
  vlans: z.array(z.int().min(0).max(4095)).max(4096),
  promiscuous: u16.optional(),
  vlanWord: z.enum(["emptied", "added", "promiscuous"]).optional(),
  rssKey: hexBytes.optional(),
  rssLut: hexBytes.optional(),
  rssFunction: u16.optional(),
  hena: word.optional(),
  vlanStripping: z.boolean().optional(),
  vlanCaps: vlanCaps.optional(),
  rxFormats: word.optional(),
  vlanFilters: z.array(vlanFilter).max(4096),
  vlanOffloads: z.array(vlanOffload).max(4),
  rssFlows: z.array(rssFlow).max(64),
  statistics: z.array(word).max(STATISTICS_MAX_WORDS),
});

export interface ConversationState {
  readonly version?: VirtchnlVersion | undefined;
  readonly capsAsked?: number | undefined;
  readonly resources?: VfResources | undefined;
  readonly pairs: readonly QueuePairConfig[];
  readonly vectors: readonly VectorMap[];
  readonly rxEnabled: number;
  readonly txEnabled: number;
  readonly macs: readonly { readonly mac: string; readonly kind: number }[];
  readonly vlans: readonly number[];
  readonly promiscuous?: number | undefined;
  readonly vlanWord?: VlanWord | undefined;
  /** Hex digits, two for each byte. */
  readonly rssKey?: string | undefined;
  readonly rssLut?: string | undefined;
  readonly rssFunction?: number | undefined;
  /** 64 bits as 16 hex digits, highest first. */
  readonly hena?: string | undefined;
  readonly vlanStripping?: boolean | undefined;
  readonly vlanCaps?: VlanCaps | undefined;
  /** As {@link ConversationState.hena}. */
  readonly rxFormats?: string | undefined;
  /** Filters and offloads of VLAN V2. */
  readonly vlanFilters: readonly VlanV2Filter[];
  readonly vlanOffloads: readonly VlanOffload[];
  readonly rssFlows: readonly RssFlow[];
  /** The guest's counters, in the order of a GET_STATS reply; each as {@link ConversationState.hena}. */
  readonly statistics: readonly string[];
}

/** The conversation as plain data; what was never said is left out. */
export function saveConversation(conversation: Conversation): ConversationState {
  const state: ConversationState = {
    version: conversation.version,
    capsAsked: conversation.capsAsked,
    resources: conversation.resources,
    pairs: [...conversation.pairs.values()].toSorted((a, b) => a.tx.queue - b.tx.queue),
    vectors: [...conversation.vectors.values()],
    rxEnabled: conversation.rxEnabled >>> 0,
    txEnabled: conversation.txEnabled >>> 0,
    macs: Array.from(conversation.macs, ([address_, kind]) => ({ mac: address_, kind })),
    vlans: [...conversation.vlans],
    promiscuous: conversation.promiscuous,
    vlanWord: conversation.vlanWord,
    rssKey: conversation.rssKey && toHex(conversation.rssKey),
    rssLut: conversation.rssLut && toHex(conversation.rssLut),
    rssFunction: conversation.rssFunction,
    hena: conversation.hena === undefined ? undefined : wordToHex(conversation.hena),
    vlanStripping: conversation.vlanStripping,
    vlanCaps: conversation.vlanCaps,
    rxFormats: conversation.rxFormats === undefined ? undefined : wordToHex(conversation.rxFormats),
    vlanFilters: conversation.vlanV2.filters,
    vlanOffloads: conversation.vlanV2.offloads,
    rssFlows: conversation.rssFlows.flows,
    statistics: conversation.statistics.totals.map((total) => wordToHex(total)),
  };
  // A field that is there must have a value on the wire.
  return Object.fromEntries(
    Object.entries(state).filter(([, value]) => value !== undefined),
  ) as unknown as ConversationState;
}

/** Makes `conversation` the one that was saved. */
export function loadConversation(conversation: Conversation, state: ConversationState): void {
  conversation.clear();
  conversation.version = state.version;
  conversation.capsAsked = state.capsAsked;
  conversation.resources = state.resources;
  for (const pair of state.pairs) {
    conversation.pairs.set(pair.tx.queue, pair);
  }
  for (const map of state.vectors) {
    conversation.vectors.set(map.vector, map);
  }
  conversation.rxEnabled = state.rxEnabled;
  conversation.txEnabled = state.txEnabled;
  for (const filter of state.macs) {
    conversation.macs.set(filter.mac, filter.kind);
  }
  for (const id of state.vlans) {
    conversation.vlans.add(id);
  }
  conversation.promiscuous = state.promiscuous;
  conversation.vlanWord = state.vlanWord;
  conversation.rssKey = state.rssKey === undefined ? undefined : fromHex(state.rssKey);
  conversation.rssLut = state.rssLut === undefined ? undefined : fromHex(state.rssLut);
  conversation.rssFunction = state.rssFunction;
  conversation.hena = state.hena === undefined ? undefined : hexToWord(state.hena);
  conversation.vlanStripping = state.vlanStripping;
  conversation.vlanCaps = state.vlanCaps;
  conversation.rxFormats = state.rxFormats === undefined ? undefined : hexToWord(state.rxFormats);
  for (const filter of state.vlanFilters) {
    conversation.vlanV2.addFilter(filter);
  }
  for (const offload of state.vlanOffloads) {
    conversation.vlanV2.setOffload(offload);
  }
  for (const flow of state.rssFlows) {
    conversation.rssFlows.set(flow);
  }
  conversation.statistics.continueFrom(statisticsOf(state));
}

/** What a PF has a say in, for comparing: all but counters, which change while nothing else does. */
export function agreementOf(state: ConversationState): string {
  return JSON.stringify({ ...state, statistics: [] });
}

/** The guest's counters, in the order of a GET_STATS reply. */
export function statisticsOf({ statistics }: ConversationState): bigint[] {
  return statistics.map((total) => hexToWord(total));
}

function wordToHex(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}

function hexToWord(hex: string): bigint {
  return BigInt(`0x${hex}`);
}
