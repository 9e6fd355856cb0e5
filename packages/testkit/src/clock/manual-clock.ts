import type { Clock, Timer } from "@vfmig/core";

interface Entry {
  readonly at: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** A clock that stands still until a test turns it. */
export interface ManualClock extends Clock {
  /** Runs what waits for the next turn of the event loop, also what that adds, at most `turns` rounds. */
  runSoon(turns?: number): void;
  /** Moves time on by `ms` milliseconds, running timers in their order and `soon` work around each. */
  advance(ms: number): void;
  /** Timers and turns that still wait. */
  readonly waiting: number;
}

/** Rounds after which `runSoon` concludes that something reschedules itself for ever. */
const ROUNDS = 100_000;

class ManualClockImpl implements ManualClock {
  #now = 0;
  #soon: Entry[] = [];
  readonly #timers: Entry[] = [];

  now(): number {
    return this.#now;
  }

  get waiting(): number {
    const live = (entry: Entry): boolean => !entry.cancelled;
    return this.#soon.filter(live).length + this.#timers.filter(live).length;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry: Entry = { at: this.#now + Math.max(0, delayMs), run, cancelled: false };
    // Equal times keep the order in which they were asked for.
    const next = this.#timers.findIndex((other) => other.at > entry.at);
    this.#timers.splice(next === -1 ? this.#timers.length : next, 0, entry);
    return { cancel: () => void (entry.cancelled = true) };
  }

  soon(run: () => void): Timer {
    const entry: Entry = { at: this.#now, run, cancelled: false };
    this.#soon.push(entry);
    return { cancel: () => void (entry.cancelled = true) };
  }

  runSoon(turns: number = ROUNDS): void {
    for (let turn = 0; turn < turns && this.#soon.length > 0; turn++) {
      if (turn === ROUNDS - 1) throw new Error("runSoon: work reschedules itself without end");
      const round = this.#soon;
      this.#soon = [];
      for (const entry of round) if (!entry.cancelled) entry.run();
    }
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    this.runSoon();
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      if (next.cancelled) continue;
      this.#now = next.at;
      next.run();
      this.runSoon();
    }
    this.#now = end;
  }
}

/**
 * A {@link Clock} for tests.
 *
 * @example
 * const clock = createManualClock();
 * clock.after(5, () => console.log("five milliseconds later"));
 * clock.advance(5);
 */
export function createManualClock(): ManualClock {
  return new ManualClockImpl();
}
