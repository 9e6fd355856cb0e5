import type { Clock, Timer } from "@vfmig/core";
import { vectorItr } from "@vfmig/iavf";
import type { Registers } from "./registers.ts";

/** Throttle index 3: not throttled. */
export const NO_ITR = 3;

/** Rounding of times, in milliseconds: less than this is no wait. */
const ROUNDING_MS = 1e-6;

/** Milliseconds of one unit of an interval, of which a register holds 12 bits. */
const UNIT_MS = 0.002;
const INTERVAL_BITS = 0xfff;

/** The least time between two interrupts of a vector, by the interval of each waiting cause. */
export class Throttle {
  readonly #registers: Registers;
  readonly #clock: Clock;
  readonly #due: (vector: number) => void;
  /** When each vector fired last. */
  readonly #fired: Float64Array;
  readonly #timers: (Timer | undefined)[];

  /** `due`: called when a vector that was held may fire. */
  constructor(vectors: number, registers: Registers, clock: Clock, due: (vector: number) => void) {
    this.#registers = registers;
    this.#clock = clock;
    this.#due = due;
    this.#fired = new Float64Array(vectors).fill(-Infinity);
    this.#timers = Array.from({ length: vectors });
  }

  /**
   * True where the vector has to wait, and then `due` will be called. Otherwise it counts as fired now.
   * `waiting`: bit n is a cause with throttle index n.
   */
  holds(vector: number, waiting: number): boolean {
    const now = this.#clock.now();
    const wait = this.#fired[vector]! + this.#interval(vector, waiting) - now;
    // The interval may have been made shorter since the timer was set.
    this.#timers[vector]?.cancel();
    this.#timers[vector] = undefined;
    if (!(wait > ROUNDING_MS)) {
      this.#fired[vector] = now;
      return false;
    }
    this.#timers[vector] = this.#clock.after(wait, () => {
      this.#timers[vector] = undefined;
      this.#due(vector);
    });
    return true;
  }

  reset(): void {
    this.#fired.fill(-Infinity);
    for (const timer of this.#timers) timer?.cancel();
    this.#timers.fill(undefined);
  }

  /** Milliseconds, the shortest of the waiting causes'. */
  #interval(vector: number, waiting: number): number {
    if ((waiting & (1 << NO_ITR)) !== 0) return 0;
    let units = INTERVAL_BITS;
    for (let itr = 0; itr < NO_ITR; itr++) {
      if ((waiting & (1 << itr)) === 0) continue;
      units = Math.min(units, this.#registers.get(vectorItr(vector, itr)) & INTERVAL_BITS);
    }
    return units * UNIT_MS;
  }
}
