import { z } from "zod";
import { fromHex, toHex } from "../hex.ts";
import type { MailboxVectorState } from "../interrupts/mailbox-vector.ts";
import type { MailboxBacklog } from "./options.ts";
import type { VirtualMailboxState } from "./virtual-mailbox.ts";

const u32 = z.int().min(0).max(0xffff_ffff);
const u16 = z.int().min(0).max(0xffff);
const body = z
  .string()
  .max(2 * 4096)
  .regex(/^([0-9a-f]{2})*$/u);
const ring = z.strictObject({
  bal: u32,
  bah: u32,
  len: u32,
  head: z.int().min(0).max(1023),
  tail: z.int().min(0).max(1023),
});

/** The mailbox as the guest sees it, and what was under way in it. */
export const mailboxSchema: z.ZodType<MailboxState> = z.strictObject({
  registers: z.strictObject({ send: ring, receive: ring }),
  vector: z.strictObject({
    control: u32,
    enable: u32,
    statControl: u32,
    itr: z.array(z.int().min(0).max(0xfff)).length(3),
  }),
  sent: z.array(z.strictObject({ flags: u16, returnValue: u16 })).max(1023),
  inbox: z
    .array(
      z.strictObject({
        opcode: u32,
        status: z.int().min(-0x8000_0000).max(0x7fff_ffff),
        body,
      }),
    )
    .max(64),
  /** More than a driver ever has, and no more than the private ring takes at once. */
  outstanding: z.array(z.strictObject({ opcode: u32, body })).max(16),
});

export interface MailboxState {
  readonly registers: VirtualMailboxState;
  readonly vector: MailboxVectorState;
  readonly sent: MailboxBacklog["sent"];
  /** Bodies as hex digits. */
  readonly inbox: readonly {
    readonly opcode: number;
    readonly status: number;
    readonly body: string;
  }[];
  readonly outstanding: readonly { readonly opcode: number; readonly body: string }[];
}

/** Joins what {@link splitMailboxState} takes apart. */
export function joinMailboxState(
  registers: VirtualMailboxState,
  vector: MailboxVectorState,
  backlog: MailboxBacklog,
): MailboxState {
  return {
    registers,
    vector,
    sent: backlog.sent,
    inbox: backlog.inbox.map((message) => ({ ...message, body: toHex(message.body) })),
    outstanding: backlog.outstanding.map((request) => ({ ...request, body: toHex(request.body) })),
  };
}

/** The backlog of a saved mailbox. */
export function splitMailboxState(state: MailboxState): MailboxBacklog {
  return {
    sent: state.sent,
    inbox: state.inbox.map((message) => ({ ...message, body: fromHex(message.body) })),
    outstanding: state.outstanding.map((request) => ({ ...request, body: fromHex(request.body) })),
  };
}
