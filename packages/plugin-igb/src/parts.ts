import type { SubDriverContext } from "@vfmig/core";
import type { Announcement, PciConfigSpace, RegisterAccess } from "@vfmig/core/toolkit";
import type { Statistics } from "./function/statistics.ts";
import type { Vectors } from "./function/vectors.ts";
import type { GuestMailbox } from "./mailbox/guest-mailbox.ts";
import type { PfMailbox } from "./mailbox/pf-mailbox.ts";
import type { IgbVfOptions } from "./options.ts";
import type { RxQueue } from "./queues/rx-queue.ts";
import type { TxQueue } from "./queues/tx-queue.ts";
import type { ShadowController } from "./shadow/controller.ts";

/** How this host's PF gives addresses to the VF. */
export interface AddressPolicy {
  /** The address that the host's administrator set; null for none. */
  readonly assigned: string | null;
  /** Whether the VF may have another one. */
  readonly changeable: boolean;
}

/** Guest indices at a stop: the next slot that will be completed. */
export interface QueueIndices {
  readonly queue: number;
  readonly tx: number;
  readonly rx: number;
}

/** What the migration of one VF remembers between its arcs. */
export interface Session {
  /** What the arcs are doing. */
  phase: "running" | "stopping" | "stopped";
  /** A load has made this VF the guest's. */
  loaded: boolean;
  /** The PF was made to forget this VF's addresses, so that another VF can have them. */
  released: boolean;
  /** The PF may hold an address for this VF. */
  touched: boolean;
  /** What the PF said where it was asked on no guest's behalf. */
  policy: AddressPolicy | undefined;
  ringIndices: readonly QueueIndices[];
}

/** The pieces of one VF, as its migration uses them. */
export interface Parts {
  readonly context: SubDriverContext<IgbVfOptions>;
  readonly registers: RegisterAccess;
  readonly config: PciConfigSpace;
  readonly pf: PfMailbox;
  readonly mailbox: GuestMailbox;
  readonly vectors: Vectors;
  readonly statistics: Statistics;
  readonly rx: RxQueue;
  readonly tx: TxQueue;
  readonly announcement: Announcement;
  /** Whose rings the device works on. */
  readonly shadow: ShadowController;
  readonly session: Session;
}
