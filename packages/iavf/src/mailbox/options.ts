import type { Clock, DirtySink, DmaBuffer, GuestMemory, Logger } from "@vfmig/core";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import type { ReceivedMessage, SendResult } from "./private-mailbox.ts";

/** What becomes of a guest's request. */
export type RequestVerdict =
  /** It goes to the PF with this body, still with the guest's VSI id. */
  | { readonly kind: "forward"; readonly body: Uint8Array }
  /** It is answered at once and the PF never sees it. */
  | { readonly kind: "answer"; readonly status: number; readonly body?: Uint8Array };

/** What the owner of a mailbox relay decides. None of these may throw. */
export interface MailboxHooks {
  /** A request of the guest, as it wrote it. */
  request(opcode: number, body: Uint8Array): RequestVerdict;
  /** The PF's answer to it; returns the body that the guest gets. */
  reply(opcode: number, request: Uint8Array, reply: ReceivedMessage): Uint8Array;
  /** What the PF says of its own accord; returns the body that the guest gets. */
  event(body: Uint8Array): Uint8Array;
  /** The VF was reset: the PF has forgotten queues, filters and vectors. */
  reset(): void;
}

export interface MailboxOptions {
  readonly registers: RegisterAccess;
  readonly memory: GuestMemory;
  readonly dirty: DirtySink;
  readonly allocate: (bytes: number) => DmaBuffer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Raises the guest's vector 0; false where the guest has no event for it yet. */
  readonly signalGuest: () => boolean;
  readonly hooks: MailboxHooks;
  /** A message's body was written into the guest's memory, whole or as far as its buffer goes. */
  readonly delivered?: (opcode: number, iova: number, length: number) => void;
  /** As `ConversationOptions.vlansStrip`. */
  readonly vlansStrip?: boolean;
  /** Low bits of the receive ring's base that are another field. Default none. */
  readonly arqBaseField?: number;
}

/** What a saved device carries of its mailbox, apart from registers. */
export interface MailboxBacklog {
  /** Sends that the device took while the guest could not be told. */
  readonly sent: readonly SendResult[];
  /** Messages for the guest that it has not got yet. */
  readonly inbox: readonly ReceivedMessage[];
  /** Requests of the guest that the PF has not answered. */
  readonly outstanding: readonly { readonly opcode: number; readonly body: Uint8Array }[];
}
