import type { StateFormat } from "@vfmig/core";
import { conversationSchema, type ConversationState } from "../../mailbox/conversation-state.ts";
import { mailboxSchema, type MailboxState } from "../../mailbox/mailbox-state.ts";
import { z } from "zod";
import type { QueueVectorState } from "../function/queue-vectors.ts";
import type { GuestQueueState } from "../queues/relays.ts";

const u32 = z.int().min(0).max(0xffff_ffff);
const slot = z.int().min(0).max(8191);
const position = z.strictObject({ complete: slot, tail: slot });
const tails = z.array(slot).length(16);

/** What belongs to the function as a whole. */
export interface FunctionState {
  /** Bus Master Enable. */
  readonly busMaster: boolean;
  /** RSS registers, by offset in BAR0, where the guest was granted RSS by registers. */
  readonly rssRegisters: readonly { readonly offset: number; readonly value: number }[];
}

/** Where the guest stands in its rings; the device's own positions are never needed. */
export interface QueuesState {
  readonly tails: { readonly tx: readonly number[]; readonly rx: readonly number[] };
  readonly positions: readonly GuestQueueState[];
}

export interface VectorsState {
  readonly vectors: readonly QueueVectorState[];
}

/** Everything that a move carries. */
export interface VfState {
  readonly function: FunctionState;
  readonly conversation: ConversationState;
  readonly queues: QueuesState;
  readonly vectors: VectorsState;
  readonly mailbox: MailboxState;
}

const functionSchema: z.ZodType<FunctionState> = z.strictObject({
  busMaster: z.boolean(),
  rssRegisters: z
    .array(z.strictObject({ offset: z.int().min(0xc400).max(0xd4ff).multipleOf(4), value: u32 }))
    .max(64),
});

const queuesSchema: z.ZodType<QueuesState> = z.strictObject({
  tails: z.strictObject({ tx: tails, rx: tails }),
  positions: z
    .array(z.strictObject({ queue: z.int().min(0).max(15), tx: position, rx: position }))
    .max(16),
});

const vectorsSchema: z.ZodType<VectorsState> = z.strictObject({
  vectors: z
    .array(
      z.strictObject({
        vector: z.int().min(1).max(16),
        control: u32,
        itr: z.array(z.int().min(0).max(0xfff)).length(3),
      }),
    )
    .max(16),
});

/** The device state of this plugin. Each record comes once; all are needed. */
export const stateFormat: StateFormat = {
  version: 1,
  reads: [1],
  records: {
    function: { id: 16, mandatory: true, schema: functionSchema },
    conversation: { id: 17, mandatory: true, schema: conversationSchema },
    queues: { id: 18, mandatory: true, schema: queuesSchema },
    vectors: { id: 19, mandatory: true, schema: vectorsSchema },
    mailbox: { id: 20, mandatory: true, schema: mailboxSchema },
  },
};

export const RECORD_TYPES: readonly (keyof VfState)[] = [
  "function",
  "conversation",
  "queues",
  "vectors",
  "mailbox",
];

/**
 * One record, checked against its schema.
 * @throws z.ZodError
 */
export function parseRecord(type: string, value: unknown): Partial<VfState> {
  switch (type) {
    case "function":
      return { function: functionSchema.parse(value) };
    case "conversation":
      return { conversation: conversationSchema.parse(value) };
    case "queues":
      return { queues: queuesSchema.parse(value) };
    case "vectors":
      return { vectors: vectorsSchema.parse(value) };
    case "mailbox":
      return { mailbox: mailboxSchema.parse(value) };
    default:
      return {};
  }
}
