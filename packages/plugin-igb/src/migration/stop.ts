import type { Parts } from "../parts.ts";
import { silent } from "./silent.ts";
import { waitUntil } from "@vfmig/core/toolkit";

/**
 * Brings the function to a standstill: what the guest has posted for sending goes out within a bound,
 * the queues are switched off, the last descriptors are relayed, and from then on neither guest memory
 * is written nor a vector fires.
 */
export async function stop(parts: Parts, signal: AbortSignal): Promise<void> {
  const { session, mailbox, tx, rx, vectors, context } = parts;
  session.phase = "stopping";
  mailbox.freeze();
  tx.relay?.pause();
  try {
    await settleMailbox(parts, signal);
    await drain(parts, signal);
  } catch (error) {
    session.phase = "running";
    tx.relay?.resume();
    mailbox.thaw();
    throw error;
  }
  session.phase = "stopped";
  tx.silence();
  rx.silence();
  await caughtUp(parts, signal);
  tx.finish();
  rx.finish();
  vectors.silence();
  vectors.freeze();
  session.loaded = false;
  session.ringIndices = tx.enabled || rx.enabled ? [{ queue: 0, tx: tx.index, rx: rx.index }] : [];
  context.logger.debug("stopped", { ringIndices: session.ringIndices });
}

/** A request that the PF works on is answered first, or given up; one that comes from now on is carried. */
async function settleMailbox({ mailbox, context }: Parts, signal: AbortSignal): Promise<void> {
  const done = (): boolean => !mailbox.serving;
  await waitUntil(context.clock, done, context.options.pfTimeoutMs, signal);
}

/** Frames that the device does not finish in time stay the guest's and are sent by the target. */
async function drain({ tx, context }: Parts, signal: AbortSignal): Promise<void> {
  if (await waitUntil(context.clock, () => tx.drained, context.options.drainMs, signal)) return;
  context.logger.warn("frames were still with the device at the stop; they are sent again", {
    descriptors: tx.relay?.outstanding,
  });
}

/** The queues are off, and the receive ring says what its head says. */
async function caughtUp(parts: Parts, signal: AbortSignal): Promise<void> {
  const { rx, context } = parts;
  if (await silent(parts, () => rx.caughtUp, signal)) return;
  context.logger.warn(
    "the device has begun buffers that it did not finish; the guest gets them back empty",
    { head: rx.deviceHead },
  );
}
