import type { Clock } from "../../clock.ts";

/** How long a replay waits for what the recording had, in milliseconds. */
export interface ReplayLimits {
  /** For one interrupt, and for one read to answer as it did. */
  readonly waitMs: number;
  /** For a call that was answered: a reset, a state. */
  readonly callMs: number;
  /** After the last step, for what still comes. */
  readonly settleMs: number;
}

export const DEFAULT_REPLAY_LIMITS: ReplayLimits = { waitMs: 500, callMs: 60_000, settleMs: 100 };

/** After so many waits in vain at one place nobody waits there for long any more. */
const PATIENCE = 3;
const IMPATIENT_MS = 20;
/** After so many milliseconds in vain, in all, nobody waits for more than a turn of the event loop. */
const BUDGET_MS = 10_000;

/** Bounded waits, which a device that is broken for good at some place does not draw out without end. */
export class Waits {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #vain = new Map<string, number>();
  #spentMs = 0;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  /** Looks until `done` says true, turn by turn; false where the limit came first. */
  async until(place: string, done: () => boolean): Promise<boolean> {
    if (done()) return true;
    const vain = this.#vain.get(place) ?? 0;
    const limit = this.#limitFor(vain);
    const start = this.#clock.now();
    do {
      await this.turn(this.#clock.now() - start > 2);
      if (done()) {
        this.#vain.delete(place);
        return true;
      }
    } while (this.#clock.now() - start < limit);
    this.#vain.set(place, vain + 1);
    this.#spentMs += this.#clock.now() - start;
    return false;
  }

  #limitFor(vain: number): number {
    if (this.#spentMs > Math.max(BUDGET_MS, this.#limitMs)) return 0;
    return vain >= PATIENCE ? Math.min(IMPATIENT_MS, this.#limitMs) : this.#limitMs;
  }

  /** One turn of the event loop, or a millisecond where many were in vain. */
  turn(slow = false): Promise<void> {
    return new Promise((resolve) => {
      if (slow) this.#clock.after(1, resolve);
      else this.#clock.soon(resolve);
    });
  }
}
