import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildQueueSelect } from "../../virtchnl/queues.ts";
import type { Parts } from "../parts.ts";

/** Milliseconds that counters are worth at a stop. */
const LIMIT_MS = 100;

/**
 * Has the PF tell its last counters, from which the guest's go on elsewhere. A PF that does not, costs
 * the guest what was counted since it asked itself, and no more.
 */
export async function readCounters(
  { mailbox, context }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { resources, statistics } = mailbox.conversation;
  if (resources === undefined) {
    return;
  }
  const body = buildQueueSelect({ vsiId: mailbox.vsi.host, txQueues: 0, rxQueues: 0 });
  const timeoutMs = Math.min(LIMIT_MS, context.options.pfTimeoutMs);
  try {
    const reply = await mailbox.demand(VIRTCHNL_OP.GET_STATS, body, { timeoutMs, signal });
    statistics.answered(reply);
  } catch (error) {
    context.logger.debug("the PF did not tell its last counters", { cause: String(error) });
  }
}
