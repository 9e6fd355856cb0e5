/**
 * `resetting`: the PF did not run them again, so that the VF is reset and its guest told; `lost`: nobody has
 * reset it so far.
 */
export type StrandedDoing = "nothing" | "running them again" | "resetting" | "lost";

/** What people and reports may know of queues that stand still although their guest runs them. */
export interface StrandedStatus {
  readonly queues: readonly {
    readonly queue: number;
    readonly tx: boolean;
    readonly rx: boolean;
  }[];
  readonly doing: StrandedDoing;
  /** Attempts so far. */
  readonly attempts: number;
  /** Resets of the VF on that account, in all. */
  readonly resets: number;
}
