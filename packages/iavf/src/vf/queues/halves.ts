/** The two halves of a queue pair, or a choice of them. */
export interface Halves {
  readonly tx: boolean;
  readonly rx: boolean;
}

/**
 * Where a half's ring is, and who reads the guest's tail. `direct`: the device works on the guest's
 * ring and gets its tails. `relay`: the device works on a private ring that a relay feeds. `held`: the
 * half changes from one to the other, and the guest's tails wait.
 */
export type HalfMode = "direct" | "held" | "relay";

/** What a half remembers of its guest while the device works on the guest's ring. */
export interface HalfState {
  mode: HalfMode;
  /**
   * The guest's tail has passed the ring's end since the device began at slot 0; undefined where nobody
   * saw whether it has.
   */
  lapped: boolean | undefined;
}

export function newHalf(mode: HalfMode): HalfState {
  return { mode, lapped: false };
}
