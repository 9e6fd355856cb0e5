import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildQueueConfig, buildQueueSelect } from "../../virtchnl/queues.ts";
import type { Parts } from "../parts.ts";

/**
 * Has the PF configure every known pair on its private rings and run those that the guest runs. The
 * rings are empty as far as the device can tell, so nothing moves until a tail is written.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function enableEmpty(parts: Parts, signal: AbortSignal): Promise<void> {
  const { queues, mailbox, context } = parts;
  const { txEnabled, rxEnabled } = mailbox.conversation;
  const vsiId = mailbox.vsi.host;
  const options = { timeoutMs: context.options.pfTimeoutMs, signal };
  const pairs = queues.pairs.map(({ deviceConfig: { tx, rx } }) => ({
    tx: { ...tx, vsiId },
    rx: { ...rx, vsiId },
  }));
  if (pairs.length === 0) {
    return;
  }
  // Before the PF is asked: some let a Tx queue run from its configuration on.
  for (const pair of queues.pairs) {
    pair.clearTails(true, true);
  }
  const asked = [
    mailbox.demand(VIRTCHNL_OP.CONFIG_VSI_QUEUES, buildQueueConfig({ vsiId, pairs }), options),
  ];
  if ((txEnabled | rxEnabled) !== 0) {
    const select = { vsiId, txQueues: txEnabled, rxQueues: rxEnabled };
    asked.push(mailbox.demand(VIRTCHNL_OP.ENABLE_QUEUES, buildQueueSelect(select), options));
    queues.markAsked(txEnabled, rxEnabled);
  }
  await Promise.all(asked);
}
