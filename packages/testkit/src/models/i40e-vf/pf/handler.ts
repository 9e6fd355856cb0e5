import type { Counters } from "../counters.ts";
import type { ReceiveFilters } from "../filters.ts";
import type { Receiver } from "../receiver.ts";
import type { Rss } from "../rss.ts";
import type { Transmitter } from "../transmitter.ts";
import type { VfState } from "./vf-state.ts";

/** The hardware as the PF's message handlers reach it. */
export interface PfHardware {
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
  /** Refused with PARAM before GET_VF_RESOURCES. */
  readonly session: boolean;
  /** A link EVENT follows the answer. */
  readonly tellsLink?: boolean;
  /** May throw `ERR_VFMIG_VIRTCHNL_BODY`, which is answered with PARAM. */
  run(hardware: PfHardware, body: Uint8Array): PfAnswer;
}
