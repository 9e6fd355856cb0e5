import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildQueueConfig, buildQueueSelect, type QueuePairConfig } from "../../virtchnl/queues.ts";
import type { Parts } from "../parts.ts";
import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";

export type PairParts = Pick<
  Parts,
  | "family"
  | "context"
  | "registers"
  | "queues"
  | "vectors"
  | "mailbox"
  | "config"
  | "session"
  | "doorbells"
>;

export const NO_HALF: Halves = { tx: false, rx: false };

export function both(a: Halves, b: Halves): Halves {
  return { tx: a.tx && b.tx, rx: a.rx && b.rx };
}

export function any({ tx, rx }: Halves): boolean {
  return tx || rx;
}

/** Halves of the pair that the guest runs, as far as the PF has answered. */
export function enabledHalves({ mailbox }: PairParts, { queue }: QueuePair): Halves {
  const { txEnabled, rxEnabled } = mailbox.conversation;
  return { tx: ((txEnabled >>> queue) & 1) === 1, rx: ((rxEnabled >>> queue) & 1) === 1 };
}

/** Halves of the pair that run or were asked to. */
export function askedHalves({ queues }: PairParts, { queue }: QueuePair): Halves {
  const { txQueues, rxQueues } = queues.asked;
  return { tx: ((txQueues >>> queue) & 1) === 1, rx: ((rxQueues >>> queue) & 1) === 1 };
}

/** The pair is still what its guest configured; not so after a reset or another configuration. */
export function isCurrent({ queues }: PairParts, pair: QueuePair): boolean {
  return queues.pair(pair.queue) === pair;
}

/**
 * Stops halves of one pair, and no other queue.
 *
 * @param onLate - the PF has stopped them after all, after this was given up
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function stopHalves(
  parts: PairParts,
  { queue }: QueuePair,
  halves: Halves,
  signal?: AbortSignal,
  onLate?: () => void,
): Promise<void> {
  const { mailbox, queues, context } = parts;
  const txQueues = halves.tx ? 1 << queue : 0;
  const rxQueues = halves.rx ? 1 << queue : 0;
  const select = { vsiId: mailbox.vsi.host, txQueues, rxQueues };
  await mailbox.demand(VIRTCHNL_OP.DISABLE_QUEUES, buildQueueSelect(select), {
    timeoutMs: context.options.pfTimeoutMs,
    ...(signal !== undefined && { signal }),
    onLate: ({ status }) => {
      if (status === 0) {
        onLate?.();
      }
    },
  });
  queues.markStopped(txQueues, rxQueues);
}

/**
 * Has the PF write the contexts of halves that stand still, whose heads are then 0, and run those of
 * them that the guest runs. Their tails are 0, so that nothing moves yet.
 *
 * @param config - the pair on the rings that it is to work on
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function runHalves(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  config: QueuePairConfig,
): Promise<void> {
  const { mailbox, queues, context, family } = parts;
  const { queue } = pair;
  const vsiId = mailbox.vsi.host;
  const whole = !family.halvesApart;
  const options = { timeoutMs: context.options.pfTimeoutMs };
  const element = {
    // Length 0: this PF leaves that half alone.
    tx: { ...config.tx, vsiId, length: halves.tx || whole ? config.tx.length : 0 },
    rx: { ...config.rx, vsiId, length: halves.rx || whole ? config.rx.length : 0 },
  };
  pair.clearTails(halves.tx, halves.rx);
  const body = buildQueueConfig({ vsiId, pairs: [element] });
  const asked = [mailbox.demand(VIRTCHNL_OP.CONFIG_VSI_QUEUES, body, options)];
  const enabled = both(halves, enabledHalves(parts, pair));
  if (any(enabled)) {
    const txQueues = enabled.tx ? 1 << queue : 0;
    const rxQueues = enabled.rx ? 1 << queue : 0;
    const select = buildQueueSelect({ vsiId, txQueues, rxQueues });
    asked.push(mailbox.demand(VIRTCHNL_OP.ENABLE_QUEUES, select, options));
    queues.markAsked(txQueues, rxQueues);
  }
  const failed = (await Promise.allSettled(asked)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") {
    throw failed.reason;
  }
}
