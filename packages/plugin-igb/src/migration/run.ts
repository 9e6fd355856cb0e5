import { macBytes } from "../mailbox/messages.ts";
import type { Parts } from "../parts.ts";
import { claim } from "./address.ts";

/**
 * Lets a stopped function run. After a load, registers are all that is written; a function that had
 * given its address up takes it back first.
 *
 * @throws VfmigError `ERR_VFMIG_VF_MAC`, `ERR_VFMIG_PF_REFUSED`, `ERR_VFMIG_PF_SILENT`
 */
export async function run(parts: Parts, signal: AbortSignal): Promise<void> {
  if (parts.session.released) await claim(parts, signal);
  go(parts);
}

function go({ session, mailbox, vectors, tx, rx, announcement, context }: Parts): void {
  const { mac, filters } = mailbox.conversation;
  const announces = session.loaded && context.options.announce && mac !== undefined;
  const frames = announces ? announcement.prepare([mac, ...filters].map(macBytes)) : [];
  session.loaded = false;
  session.phase = "running";
  if (tx.enabled || rx.enabled) vectors.program();
  rx.go([]);
  tx.go(frames);
  // The guest may have missed an interrupt between the hosts; one too many does it no harm.
  vectors.raiseAll();
  vectors.thaw();
  mailbox.thaw();
}
