import type { Clock } from "@vfmig/core";

/** A clock whose work breaks the guest where it throws, and is dropped once the guest is broken. */
export function guardedClock(clock: Clock, guard: (run: () => void) => void): Clock {
  return {
    now: () => clock.now(),
    after: (delayMs, run) => clock.after(delayMs, () => guard(run)),
    soon: (run) => clock.soon(() => guard(run)),
  };
}
