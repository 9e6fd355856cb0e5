import type { Counters } from "../counters.ts";
import type { ReceiveFilters } from "../filters.ts";
import type { VfModelOptions } from "../options.ts";
import type { Receiver } from "../receiver.ts";
import type { Rss } from "../rss.ts";
import type { Transmitter } from "../transmitter.ts";
import type { VfState } from "./vf-state.ts";

/** The hardware as the PF's message handlers reach it. */
export interface PfHardware {
  readonly options: VfModelOptions;
  readonly state: VfState;
  readonly filters: ReceiveFilters;
  readonly rss: Rss;
  readonly counters: Counters;
  readonly receiver: Receiver;
  readonly transmitter: Transmitter;
  /** Resets the VF; `announce` sends RESET_IMPENDING first. */
  resetVf(announce: boolean): void;
}

/** A status, a body with status 0, a body with a status, or no answer at all. */
export type PfAnswer =
  | number
  | Uint8Array
  | { readonly status: number; readonly body: Uint8Array }
  | "silent";

export interface PfHandler {
  /** A link EVENT follows the answer. */
  readonly tellsLink?: boolean;
  /** May throw `ERR_VFMIG_VIRTCHNL_BODY`, which is answered with PARAM. */
  run(hardware: PfHardware, body: Uint8Array): PfAnswer;
}

/** How one PF driver answers its VFs. */
export interface PfDialect {
  readonly requests: ReadonlyMap<number, PfHandler>;
  /** The status that refuses an operation before its body is looked at, or undefined. */
  refusal(state: VfState, opcode: number): number | undefined;
  /** What the VSI is like after it was built again, beyond what both PFs do. */
  rebuilt(hardware: PfHardware): void;
}
