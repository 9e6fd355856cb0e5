import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildQueueSelect } from "../../virtchnl/queues.ts";
import type { Parts } from "../parts.ts";
import { enableEmpty } from "./enable.ts";
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
  const { queues, mailbox, vectors, config, session, context } = parts;
  const release = config.hold();
  session.phase = "stopping";
  queues.relays.pauseTx();
  try {
    mailbox.checkReset();
    await drain(parts, signal);
    // Asked in one go: the PF takes them in this order.
    await Promise.all([disable(parts, signal), readCounters(parts, signal)]);
  } catch (error) {
    session.phase = "running";
    queues.relays.resumeTx(mailbox.conversation.txEnabled);
    throw error;
  } finally {
    release();
  }
  queues.relays.finish();
  mailbox.freeze();
  vectors.freeze();
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
  const { queues, mailbox, context } = parts;
  const { txQueues, rxQueues } = queues.asked;
  if ((txQueues | rxQueues) === 0) {
    return;
  }
  await mailbox.demand(
    VIRTCHNL_OP.DISABLE_QUEUES,
    buildQueueSelect({ vsiId: mailbox.vsi.host, txQueues, rxQueues }),
    {
      timeoutMs: context.options.pfTimeoutMs,
      signal,
      onLate: ({ status }) => {
        if (status === 0) {
          void startAgain(parts);
        }
      },
    },
  );
  queues.markStopped(txQueues, rxQueues);
}

/** The PF stopped the queues after the stop had been given up: a guest that runs gets them back. */
async function startAgain(parts: Parts): Promise<void> {
  const { queues, mailbox, vectors, config, session, context } = parts;
  if (session.phase !== "running") {
    return;
  }
  const release = config.hold();
  context.logger.warn("the PF stopped the queues late; they are started again");
  queues.relays.finish();
  queues.markStopped(-1, -1);
  try {
    await enableEmpty(parts, new AbortController().signal);
    // A stop that began meanwhile goes after these requests, and so has the last word.
    if (session.phase === "running") {
      vectors.armAll();
      queues.relays.go(mailbox.conversation.txEnabled, mailbox.conversation.rxEnabled, []);
    }
  } catch (error) {
    context.logger.error("the queues could not be started again; the guest needs a reset", {
      cause: String(error),
    });
  } finally {
    release();
  }
}
