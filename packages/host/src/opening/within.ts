import type { Clock } from "@vfmig/core";

/**
 * Waits for `work`, at most `limitMs` milliseconds; then it is given up, not ended.
 * @throws what `work` throws, or what `late` makes
 */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  const { promise: gaveUp, reject } = Promise.withResolvers<never>();
  const timer = clock.after(limitMs, () => reject(late()));
  try {
    return await Promise.race([gaveUp, work]);
  } finally {
    timer.cancel();
  }
}
