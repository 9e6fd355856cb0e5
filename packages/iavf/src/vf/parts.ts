import type { SubDriverContext } from "@vfmig/core";
import type { MailboxRelay } from "../mailbox/mailbox-relay.ts";
import type { MailboxBacklog } from "../mailbox/options.ts";
import type { Announcement, PciConfigSpace, RegisterAccess } from "@vfmig/core/toolkit";
import type { Offers } from "./describe/offers.ts";
import type { QueueVectors } from "./function/queue-vectors.ts";
import type { Doorbells } from "./doorbells/doorbells.ts";
import type { VfFamily } from "./family.ts";
import type { VfOptions } from "./options.ts";
import type { QueueIndices } from "./queues/relays.ts";
import type { ShadowQueues } from "./queues/shadow-queues.ts";
import type { ShadowController } from "./shadow/controller.ts";

/** What the migration of one VF remembers between its arcs. */
export interface Session {
  /** What the arcs are doing, for what comes late. */
  phase: "running" | "stopping" | "stopped";
  /** The device differs from one that was just reset: a guest or a load has used it. */
  touched: boolean;
  /** A load has configured and enabled the device's queues, on empty rings. */
  loaded: boolean;
  /** What the PF said that it offers, where it was asked on no guest's behalf. */
  offers: Offers | undefined;
  /** Requests to be made again when the device runs. */
  outstanding: MailboxBacklog["outstanding"];
  /** The guest's indices at the last stop. */
  ringIndices: readonly QueueIndices[];
}

/** The pieces of one VF, as its migration uses them. */
export interface Parts {
  readonly family: VfFamily;
  readonly context: SubDriverContext<VfOptions>;
  readonly registers: RegisterAccess;
  readonly config: PciConfigSpace;
  readonly queues: ShadowQueues;
  /** When queues are relayed. */
  readonly shadow: ShadowController;
  readonly vectors: QueueVectors;
  /** Who sees what the guest writes to its queues' registers. */
  readonly doorbells: Doorbells;
  readonly mailbox: MailboxRelay;
  readonly announcement: Announcement;
  readonly session: Session;
}
