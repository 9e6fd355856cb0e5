import type { Clock } from "@vfmig/core";

/** A clock on which every timer waits until it is told that its time has come. */
export interface HandClock extends Clock {
  /** Delays of the timers that wait, in milliseconds. */
  readonly waiting: readonly number[];
  /** All that wait are due. */
  ring(): void;
}

export function createHandClock(): HandClock {
  const timers = new Map<object, { readonly delayMs: number; readonly run: () => void }>();
  const after = (delayMs: number, run: () => void) => {
    const key = {};
    timers.set(key, { delayMs, run });
    return { cancel: () => void timers.delete(key) };
  };
  return {
    now: () => 0,
    after,
    soon: (run) => after(0, run),
    get waiting() {
      return [...timers.values()].map(({ delayMs }) => delayMs);
    },
    ring() {
      const due = [...timers.values()];
      timers.clear();
      for (const { run } of due) run();
    },
  };
}
