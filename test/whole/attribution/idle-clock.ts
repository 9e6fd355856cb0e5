import type { Clock } from "@vfmig/core";

interface Waiting {
  readonly at: number;
  readonly run: () => void;
}

/** Milliseconds that a turn of the event loop takes, so that whoever looks turn by turn grows tired. */
const TURN_MS = 0.05;

/**
 * A clock whose time passes while nobody has anything to do: waits cost nothing, and a busy machine makes
 * none of them longer or shorter. Turns are the event loop's own.
 */
export function createIdleClock(): Clock {
  const timers: Waiting[] = [];
  let now = 0;
  let turns = 0;
  let pumping = false;
  const pump = (): void => {
    if (turns === 0 || (timers[0]?.at ?? Infinity) <= now) {
      const next = timers.shift();
      if (next !== undefined) {
        now = Math.max(now, next.at);
        next.run();
      }
    }
    pumping = timers.length > 0;
    if (pumping) setImmediate(pump);
  };
  return {
    now: () => now,
    after(delayMs, run) {
      const entry = { at: now + Math.max(0, delayMs), run };
      const later = timers.findIndex(({ at }) => at > entry.at);
      timers.splice(later === -1 ? timers.length : later, 0, entry);
      if (!pumping) setImmediate(pump);
      pumping = true;
      const cancel = (): void => {
        const at = timers.indexOf(entry);
        if (at >= 0) timers.splice(at, 1);
      };
      return { cancel };
    },
    soon(run) {
      turns++;
      let waits = true;
      const end = (): boolean => {
        const waited = waits;
        if (waits) turns--;
        waits = false;
        return waited;
      };
      const handle = setImmediate(() => {
        if (!end()) return;
        now += TURN_MS;
        run();
      });
      return {
        cancel: () => {
          end();
          clearImmediate(handle);
        },
      };
    },
  };
}
