import type { Clock, Timer } from "@vfmig/core";

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until it is told to go on: time in tests is exact and repeatable. */
export class ManualClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #waiting = new Set<Entry>();

  /** @param startMs what {@link now} gives at first; not 0, so that a forgotten start time shows */
  constructor(startMs = 1000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#waiting.add(entry);
    return { cancel: () => void this.#waiting.delete(entry) };
  }

  soon(run: () => void): Timer {
    return this.after(0, run);
  }

  /** Timers and turns that have not run yet. */
  get pending(): number {
    return this.#waiting.size;
  }

  /**
   * Moves time on by `ms` milliseconds and runs what falls due on the way, in order of time and then
   * of request, also what those runs ask for. 0 runs what is due now.
   * @throws RangeError after a million runs: something asks for turn after turn at the same time
   */
  advance(ms = 0): void {
    const target = this.#nowMs + ms;
    for (let runs = 0; runs < 1_000_000; runs++) {
      const next = this.#nextUntil(target);
      if (next === undefined) {
        this.#nowMs = target;
        return;
      }
      this.#waiting.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    throw new RangeError(`the clock ran a million callbacks before ${target} ms`);
  }

  #nextUntil(target: number): Entry | undefined {
    let next: Entry | undefined;
    for (const entry of this.#waiting) {
      if (entry.atMs > target) continue;
      const sooner =
        next === undefined ||
        entry.atMs < next.atMs ||
        (entry.atMs === next.atMs && entry.order < next.order);
      if (sooner) next = entry;
    }
    return next;
  }
}

/** A clock for tests, at `startMs` milliseconds. */
export function createManualClock(startMs?: number): ManualClock {
  return new ManualClock(startMs);
}
