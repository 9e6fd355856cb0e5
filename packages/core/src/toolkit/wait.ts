import type { Clock } from "../clock.ts";

/** Turns of the event loop that are spent before time is: most waits end within microseconds. */
const TURNS = 20;
/** Milliseconds between later looks. */
const PAUSE_MS = 0.5;

/**
 * Looks until `done` says so; false at the limit.
 *
 * @param limitMs - milliseconds
 * @throws the signal's reason, once it is aborted
 */
export async function waitUntil(
  clock: Clock,
  done: () => boolean,
  limitMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const end = clock.now() + limitMs;
  for (let turn = 0; ; turn++) {
    signal?.throwIfAborted();
    if (done()) return true;
    if (clock.now() >= end) return false;
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await new Promise<void>((resolve) => {
      if (turn < TURNS) clock.soon(resolve);
      else clock.after(PAUSE_MS, resolve);
    });
  }
}

/** Lets `ms` milliseconds pass. */
export async function pause(clock: Clock, ms: number): Promise<void> {
  if (ms <= 0) return;
  await new Promise<void>((resolve) => {
    clock.after(ms, resolve);
  });
}
