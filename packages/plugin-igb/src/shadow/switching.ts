import type { SwitchLog } from "@vfmig/shadow-queue";

/** `held`: between the two others; the guest's accesses are the plugin's, and its tails wait. */
export type ShadowMode = "direct" | "held" | "relay";

/** What a switch between the guest's rings and private ones reads and sets. */
export interface Switching {
  readonly log: SwitchLog;
  mode: ShadowMode;
  /** Something needs the queues relayed. */
  readonly wanted: boolean;
}

/** The one queue pair that there is, in the log of windows. */
export const PAIR = 0;
