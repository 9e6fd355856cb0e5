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
  | "shadow"
>;

/** Queues, by bit. */
export interface QueueBits {
  readonly txQueues: number;
  readonly rxQueues: number;
}

export const NO_HALF: Halves = { tx: false, rx: false };

export function both(a: Halves, b: Halves): Halves {
  return { tx: a.tx && b.tx, rx: a.rx && b.rx };
}

export function any({ tx, rx }: Halves): boolean {
  return tx || rx;
}

/** The bits of one queue. */
export function bitsOf(queue: number, { tx, rx }: Halves): QueueBits {
  return { txQueues: tx ? 1 << queue : 0, rxQueues: rx ? 1 << queue : 0 };
}

/** The halves of one queue among `bits`. */
export function halvesOf(queue: number, { txQueues, rxQueues }: QueueBits): Halves {
  return { tx: ((txQueues >>> queue) & 1) === 1, rx: ((rxQueues >>> queue) & 1) === 1 };
}

/** Halves of the pair that the guest runs, as far as the PF has answered. */
export function enabledHalves({ mailbox }: PairParts, { queue }: QueuePair): Halves {
  const { txEnabled, rxEnabled } = mailbox.conversation;
  return halvesOf(queue, { txQueues: txEnabled, rxQueues: rxEnabled });
}

/** Halves of the pair that run or were asked to. */
export function askedHalves({ queues }: PairParts, { queue }: QueuePair): Halves {
  return halvesOf(queue, queues.asked);
}

/** The pair is still what its guest configured; not so after a reset or another configuration. */
export function isCurrent({ queues }: Pick<PairParts, "queues">, pair: QueuePair): boolean {
  return queues.pair(pair.queue) === pair;
}

export interface StopOptions {
  /** Milliseconds that the PF has. Default: the option `pfTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stops these queues, and no others. What the PF stops after this was given up is stranded. Nothing has
 * started it again by then, but for a guest that does so itself at this moment: we start queues only when the
 * PF has answered a request to stop them, and so all requests before that.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function stopQueues(
  { mailbox, queues, shadow, context }: PairParts,
  bits: QueueBits,
  { timeoutMs = context.options.pfTimeoutMs, signal }: StopOptions = {},
): Promise<void> {
  const body = buildQueueSelect({ vsiId: mailbox.vsi.host, ...bits });
  await mailbox.demand(VIRTCHNL_OP.DISABLE_QUEUES, body, {
    timeoutMs,
    ...(signal !== undefined && { signal }),
    onLate: ({ status }) => {
      // They still count as asked to run: a later request of ours may be on its way that starts them.
      if (status === 0) {
        shadow.stranded.stoppedLate(bits);
      }
    },
  });
  queues.markStopped(bits.txQueues, bits.rxQueues);
}

/** As {@link stopQueues}, for halves of one pair. */
export async function stopHalves(
  parts: PairParts,
  { queue }: QueuePair,
  halves: Halves,
  options?: StopOptions,
): Promise<void> {
  await stopQueues(parts, bitsOf(queue, halves), options);
}

/** Halves of a pair that are to run. */
export interface PairHalves {
  readonly pair: QueuePair;
  readonly halves: Halves;
  /** The pair on the rings that it is to work on. */
  readonly config: QueuePairConfig;
}

/**
 * Has the PF write the contexts of halves that stand still, whose heads are then 0, and run those of
 * them that the guest runs. Their tails are 0, so that nothing moves yet.
 *
 * @param timeoutMs - milliseconds that the PF has; default: the option `pfTimeoutMs`
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function runHalves(
  parts: PairParts,
  all: readonly PairHalves[],
  timeoutMs: number = parts.context.options.pfTimeoutMs,
): Promise<void> {
  const { mailbox, queues, family } = parts;
  const vsiId = mailbox.vsi.host;
  const whole = !family.halvesApart;
  const pairs = all.map(({ halves, config: { tx, rx } }) => ({
    // Length 0: this PF leaves that half alone.
    tx: { ...tx, vsiId, length: halves.tx || whole ? tx.length : 0 },
    rx: { ...rx, vsiId, length: halves.rx || whole ? rx.length : 0 },
  }));
  let [txQueues, rxQueues] = [0, 0];
  for (const { pair, halves } of all) {
    pair.clearTails(halves.tx, halves.rx);
    const bits = bitsOf(pair.queue, both(halves, enabledHalves(parts, pair)));
    txQueues |= bits.txQueues;
    rxQueues |= bits.rxQueues;
  }
  const body = buildQueueConfig({ vsiId, pairs });
  const asked = [mailbox.demand(VIRTCHNL_OP.CONFIG_VSI_QUEUES, body, { timeoutMs })];
  if ((txQueues | rxQueues) !== 0) {
    const select = buildQueueSelect({ vsiId, txQueues, rxQueues });
    asked.push(mailbox.demand(VIRTCHNL_OP.ENABLE_QUEUES, select, { timeoutMs }));
    queues.markAsked(txQueues, rxQueues);
  }
  const failed = (await Promise.allSettled(asked)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") {
    throw failed.reason;
  }
}
