import { ICR0 } from "../../registers.ts";
import { macFromString } from "../../virtchnl/body.ts";
import type { Parts } from "../parts.ts";
import { stopQueues } from "../shadow/pair-requests.ts";
import { enableEmpty } from "./enable.ts";

/**
 * Lets a stopped function run. After a load its queues are enabled on empty rings already, so this is
 * tail writes only; a function that was merely stopped has its queues enabled again first.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function run(parts: Parts, signal: AbortSignal): Promise<void> {
  const { session, config, mailbox, queues } = parts;
  const { txEnabled, rxEnabled } = mailbox.conversation;
  if (!session.loaded && (txEnabled | rxEnabled) !== 0) {
    const release = config.hold();
    try {
      const { asked } = queues;
      if ((asked.txQueues | asked.rxQueues) !== 0) {
        // A PF that was too late for another attempt may have started them.
        await stopQueues(parts, { ...asked }, { signal });
      }
      await enableEmpty(parts, signal);
    } finally {
      release();
    }
  }
  go(parts);
}

function go({ session, queues, vectors, mailbox, announcement, context }: Parts): void {
  const { txEnabled, rxEnabled, macs } = mailbox.conversation;
  const announces = session.loaded && context.options.announce;
  const frames = announces ? announcement.prepare(macs.keys().map(macFromString)) : [];
  vectors.armAll();
  queues.relays.go(txEnabled, rxEnabled, frames);
  mailbox.thaw();
  // The guest may have missed an interrupt between the hosts; one too many does it no harm.
  mailbox.vector.raise(ICR0.ADMINQ);
  vectors.raiseAll();
  vectors.thaw();
  const { outstanding } = session;
  session.outstanding = [];
  session.loaded = false;
  session.phase = "running";
  for (const { opcode, body } of outstanding) {
    mailbox.reissue(opcode, body);
  }
}
