import type { Interrupts } from "./interrupts.ts";
import type { Standing } from "./standing.ts";
import type { GuestCounters, GuestDriver, GuestQueueIndices } from "./options.ts";

/** The life of a VF in the hands of its NIC's driver, from its probe to its removal. */
export interface VfLife extends Pick<
  GuestDriver,
  "mac" | "start" | "request" | "resetFunction" | "remove"
> {
  readonly standing: Standing;
  readonly interrupts: Interrupts;
  readonly counters: Omit<GuestCounters, "txBusy" | "interrupts">;
  readonly indices: readonly GuestQueueIndices[];
  /** False where a ring has no room, or the queues do not run. @throws GuestFault */
  send(frame: Uint8Array): boolean;
}
