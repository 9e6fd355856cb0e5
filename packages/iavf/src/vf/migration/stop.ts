import type { Parts } from "../parts.ts";
import { stopQueues } from "../shadow/pair-requests.ts";
import { readCounters } from "./read-counters.ts";
import { waitUntil } from "@vfmig/core/toolkit";

/**
 * Brings the function to a standstill: what the guest has posted for sending goes out within a bound,
 * the queues are stopped through the PF, the last descriptors are relayed, and from then on neither
 * guest memory is written nor a vector fires. Fails back to running.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function stop(parts: Parts, signal: AbortSignal): Promise<void> {
  const { queues, mailbox, vectors, config, session, shadow, context } = parts;
  const release = config.hold();
  session.phase = "stopping";
  queues.relays.pauseTx();
  try {
    mailbox.checkReset();
    await drain(parts, signal);
    // Asked in one go: the PF takes them in this order.
    await Promise.all([disable(parts, signal), readCounters(parts, signal)]);
    queues.relays.finish();
    mailbox.freeze();
    vectors.freeze();
  } catch (error) {
    session.phase = "running";
    // What stands still starts anew, on other rings than its relay knows.
    queues.relays.resumeTx(mailbox.conversation.txEnabled & ~shadow.stranded.txQueues);
    throw error;
  } finally {
    release();
  }
  shadow.stranded.clear();
  session.phase = "stopped";
  session.loaded = false;
  session.ringIndices = queues.relays.indices();
  context.logger.debug("stopped", { ringIndices: session.ringIndices });
}

/** Frames that the device does not finish in time stay the guest's and are sent by the target. */
async function drain({ queues, context }: Parts, signal: AbortSignal): Promise<void> {
  const done = (): boolean => {
    queues.relays.complete(-1, 0);
    return queues.relays.txOutstanding === 0;
  };
  if (!(await waitUntil(context.clock, done, context.options.drainMs, signal))) {
    context.logger.warn("frames were still with the device at the stop; they are sent again", {
      descriptors: queues.relays.txOutstanding,
    });
  }
}

async function disable(parts: Parts, signal: AbortSignal): Promise<void> {
  const { asked } = parts.queues;
  if ((asked.txQueues | asked.rxQueues) === 0) {
    return;
  }
  await stopQueues(parts, { ...asked }, { signal });
}
