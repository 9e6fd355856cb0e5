/** A timer that can be cancelled. */
export interface Timer {
  cancel(): void;
}

/**
 * Time, as everything in vfmig sees it. Injected, so that tests turn it by hand.
 */
export interface Clock {
  /** Monotonic time in milliseconds, with a fraction. */
  now(): number;
  /** Calls `run` once, `delayMs` milliseconds from now or later. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` in a later turn of the event loop, after pending input and output. */
  soon(run: () => void): Timer;
}

/** The process's own clock (`CLOCK_MONOTONIC`, so two processes of one host agree). */
export const systemClock: Clock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  soon(run) {
    const handle = setImmediate(run);
    return { cancel: () => clearImmediate(handle) };
  },
};
