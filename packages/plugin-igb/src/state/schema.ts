import type { StateFormat } from "@vfmig/core";
import { z } from "zod";
import type { VectorsState } from "../function/vectors.ts";
import type { ConversationState } from "../mailbox/conversation.ts";
import type { GuestMailboxState } from "../mailbox/guest-mailbox.ts";
import { MULTICAST_MAX } from "../mailbox/messages.ts";
import type { RxQueueState } from "../queues/rx-queue.ts";
import { CONTEXTS } from "../queues/codecs.ts";
import type { TxQueueState } from "../queues/tx-queue.ts";
import { MAILBOX_DWORDS, STATISTICS, VECTORS } from "../registers/registers.ts";

/** What belongs to the function as a whole. */
export interface FunctionState {
  /** Bus Master Enable. */
  readonly busMaster: boolean;
  /** Counters as the guest reads them. */
  readonly statistics: readonly number[];
}

export interface QueuesState {
  readonly rx: RxQueueState;
  readonly tx: TxQueueState;
}

/** Everything that a move carries. */
export interface IgbState {
  readonly function: FunctionState;
  readonly conversation: ConversationState;
  readonly mailbox: GuestMailboxState;
  readonly queues: QueuesState;
  readonly vectors: VectorsState;
}

const u32 = z.int().min(0).max(0xffff_ffff);
const mac = z.string().regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/u);
const slot = z.int().min(0).max(0xffff);
const message = z.array(u32).min(1).max(MAILBOX_DWORDS);
const vectorBits = z.int().min(0).max(7);

const functionSchema: z.ZodType<FunctionState> = z.strictObject({
  busMaster: z.boolean(),
  statistics: z.array(u32).length(STATISTICS.length),
});

const conversationSchema: z.ZodType<ConversationState> = z.strictObject({
  cleared: z.boolean(),
  assigned: mac.nullable(),
  mac: mac.nullable(),
  filters: z.array(mac).max(64),
  multicast: z.array(z.int().min(0).max(0xffff)).max(MULTICAST_MAX),
  vlans: z.array(z.int().min(0).max(0xfff)).max(4096),
  maxFrame: u32.nullable(),
  promiscuous: z.int().min(0).max(0xff).nullable(),
  // A stream that could not be carried was never saved.
  uncarried: z.array(z.int()).max(0),
});

const mailboxSchema: z.ZodType<GuestMailboxState> = z.strictObject({
  memory: z.array(u32).length(MAILBOX_DWORDS),
  owned: z.boolean(),
  bits: z.int().min(0).max(0xff),
  waiting: z.array(message).max(8),
  request: message.nullable(),
  home: mac.nullable().optional(),
});

const queue = {
  baseLow: u32,
  baseHigh: u32,
  count: z.int().min(0).max(0xffff),
  control: u32,
  dca: u32,
  head: slot,
  tail: slot,
  position: z.strictObject({ complete: slot, tail: slot }).nullable(),
};

const queuesSchema: z.ZodType<QueuesState> = z.strictObject({
  rx: z.strictObject({ ...queue, srrctl: u32 }),
  tx: z.strictObject({
    ...queue,
    writeBackLow: u32,
    writeBackHigh: u32,
    contexts: z.array(z.array(u32).length(4).nullable()).length(CONTEXTS),
  }),
});

const vectorsSchema: z.ZodType<VectorsState> = z.strictObject({
  ivar0: u32,
  ivarMisc: u32,
  mask: vectorBits,
  autoClear: vectorBits,
  autoMask: vectorBits,
  causes: vectorBits,
  intervals: z.array(z.int().min(0).max(0x7fff)).length(VECTORS),
});

/** The device state of this plugin. Each record comes once; all are needed. */
export const stateFormat: StateFormat = {
  version: 1,
  reads: [1],
  records: {
    function: { id: 16, mandatory: true, schema: functionSchema },
    conversation: { id: 17, mandatory: true, schema: conversationSchema },
    mailbox: { id: 18, mandatory: true, schema: mailboxSchema },
    queues: { id: 19, mandatory: true, schema: queuesSchema },
    vectors: { id: 20, mandatory: true, schema: vectorsSchema },
  },
};

export const RECORD_TYPES: readonly (keyof IgbState)[] = [
  "function",
  "conversation",
  "mailbox",
  "queues",
  "vectors",
];

/**
 * One record, checked against its schema.
 * @throws z.ZodError
 */
export function parseRecord(type: string, value: unknown): Partial<IgbState> {
  switch (type) {
    case "function":
      return { function: functionSchema.parse(value) };
    case "conversation":
      return { conversation: conversationSchema.parse(value) };
    case "mailbox":
      return { mailbox: mailboxSchema.parse(value) };
    case "queues":
      return { queues: queuesSchema.parse(value) };
    case "vectors":
      return { vectors: vectorsSchema.parse(value) };
    default:
      return {};
  }
}
