import type { FunctionVariant } from "./function-spec.ts";
import type { PfDialect } from "./pf/handler.ts";
import type { RegisterSpec } from "./register-table.ts";

/**
 * What differs between the VFs of two generations. The engine (rings, mailbox, interrupts, offloads) is
 * the same; this table and the PF's dialect make it the one or the other.
 */
export interface VfProfile {
  readonly name: string;
  /** Configuration space. */
  readonly function: FunctionVariant;
  /** BAR0. What is not here reads as zero. */
  readonly registers: readonly RegisterSpec[];
  /** Low bits of the receive ring's base that are no address. */
  readonly arqBaseFieldMask: number;
  /** Bits of DYN_CTL that read back as written, INTENA aside. */
  readonly controlKept: number;
  /** RSS works out of the VF's own registers; otherwise out of what the PF told the hardware. */
  readonly rssRegisters: boolean;
  /** The hash of SCTP takes in the verification tag. */
  readonly hashSctpTag: boolean;
  /** At a reset by FLR, the lengths of the admin queues go by the hardware, or later by the PF driver. */
  readonly flrClearsMailbox: "hardware" | "pf";
  readonly dialect: PfDialect;
}
