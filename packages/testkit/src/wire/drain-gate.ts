import type { Clock, Timer } from "@vfmig/core";
import type { WireSide } from "./wire-side.ts";

/** Frames that wait at most, and how long: a port that never answers must not hold up the other. */
const MAX_HELD = 4096;
const LIMIT_MS = 1000;

/**
 * Keeps frames in the order in which they were sent when the guest moves: what the new port sends
 * waits until the old one has handed over everything that it sent before. Sockets have no common
 * order; on a real wire it is time that orders.
 */
export class DrainGate {
  readonly #clock: Clock;
  readonly #pass: (side: WireSide, frame: Uint8Array) => void;
  #draining: WireSide | undefined;
  #held: { side: WireSide; frame: Uint8Array }[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, pass: (side: WireSide, frame: Uint8Array) => void) {
    this.#clock = clock;
    this.#pass = pass;
  }

  /** True while frames of `side` are those from before the move. */
  drains(side: WireSide): boolean {
    return this.#draining === side;
  }

  /** Waits for `old` to hand over what it has. */
  close(old: WireSide): void {
    this.open();
    this.#draining = old;
    this.#timer = this.#clock.after(LIMIT_MS, () => this.open());
    old.ping(() => {
      if (this.#draining === old) this.open();
    });
  }

  /** Keeps a copy of the frame where it has to wait; false where it may pass. */
  hold(side: WireSide, frame: Uint8Array): boolean {
    if (this.#draining === undefined || this.#draining === side) return false;
    if (this.#held.length >= MAX_HELD) {
      this.open();
      return false;
    }
    this.#held.push({ side, frame: frame.slice() });
    return true;
  }

  /** Lets everything pass that waits. */
  open(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#draining = undefined;
    const held = this.#held;
    this.#held = [];
    for (const { side, frame } of held) this.#pass(side, frame);
  }
}
