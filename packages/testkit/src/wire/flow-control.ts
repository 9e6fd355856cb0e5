import type { Clock } from "@vfmig/core";
import type { WireSide } from "./wire-side.ts";

/**
 * Frames under way to a port at most: in a process that comes late they arrive at once, and a quarter of a
 * ring has to take them, five descriptors each.
 */
const UNDER_WAY = 24;
/** Frames after which a port is asked how far it is. */
export const PACED_PING_EVERY = 8;
/** Longest that frames are held, in milliseconds: a device that is stuck must show as one. */
const LIMIT_MS = 500;

/**
 * The sender's half of link flow control (802.3x): frames wait while the port asks for it, or does not
 * come after. On a real link that is time on the cable and in the NIC's packet buffer.
 */
export class FlowControl {
  readonly #clock: Clock;
  #heldSince: number | undefined;
  #heldMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds for which frames were held. */
  get heldMs(): number {
    return this.#heldMs + this.#holding();
  }

  /** True while the next frame has to wait. */
  holds(side: WireSide): boolean {
    if (!side.paused && side.outstanding.count < UNDER_WAY) {
      this.#heldMs += this.#holding();
      this.#heldSince = undefined;
      return false;
    }
    this.#heldSince ??= this.#clock.now();
    return this.#holding() < LIMIT_MS;
  }

  #holding(): number {
    if (this.#heldSince === undefined) return 0;
    return Math.min(this.#clock.now() - this.#heldSince, LIMIT_MS);
  }
}
