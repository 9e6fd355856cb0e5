import { pause, waitUntil } from "@vfmig/core/toolkit";
import type { Parts } from "../parts.ts";

/** Milliseconds that a queue may take to say that it is off. */
const OFF_MS = 50;

/**
 * Waits until queues that were switched off are at rest, and until `shown`: their rings say what their heads
 * say, since write-backs may come after a head. False where they do not say so within the bound.
 */
export async function silent(
  { tx, rx, context }: Parts,
  shown: () => boolean,
  signal?: AbortSignal,
): Promise<boolean> {
  const { clock, options } = context;
  await waitUntil(clock, () => tx.silent && rx.silent, OFF_MS, signal);
  if (tx.enabled || rx.enabled) await pause(clock, options.quiesceMs);
  return await waitUntil(clock, shown, options.drainMs, signal);
}
