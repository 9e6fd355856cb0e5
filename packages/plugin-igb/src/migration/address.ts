import { VfmigError } from "@vfmig/core";
import { igbError } from "../errors.ts";
import { assignedBy } from "../mailbox/conversation.ts";
import {
  buildMac,
  buildReset,
  isAck,
  MAC_INFO,
  infoOf,
  opcodeOf,
  OPCODE,
} from "../mailbox/messages.ts";
import type { AddressPolicy, Parts } from "../parts.ts";
import { CTRL_RESET, REGISTER } from "../registers/registers.ts";

/**
 * Resets the VF and has the PF take notice: it forgets filters, and every address but one that the
 * host's administrator set, which is returned. The reset alone would leave the address in the PF's
 * receive filters, where it keeps frames from whoever has it next.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_VF_NOT_READY`
 */
export async function freshVf(parts: Parts, signal?: AbortSignal): Promise<string | undefined> {
  const { registers, pf, session } = parts;
  registers.write(REGISTER.CTRL, CTRL_RESET);
  pf.clear();
  const reply = await pf.exchange(buildReset(), limits(parts, signal));
  const assigned = assignedBy(reply);
  session.touched = assigned !== undefined;
  return assigned;
}

/**
 * Has the PF give up the guest's address, so that another VF, of this PF or of another, can have it.
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_VF_NOT_READY`
 */
export async function release(parts: Parts, signal: AbortSignal): Promise<void> {
  const { session, mailbox, context } = parts;
  if (session.released || !mailbox.conversation.cleared) return;
  session.released = true;
  const pinned = await freshVf(parts, signal);
  if (pinned === undefined) return;
  context.logger.warn(
    `the host's administrator has set ${pinned} for this VF, so that the PF keeps it; clear it after the move (ip link set PF vf N mac 00:00:00:00:00:00)`,
    { mac: pinned },
  );
}

/**
 * Makes a fresh VF the guest's: its address first, then all that another PF granted.
 * @throws VfmigError `ERR_VFMIG_VF_MAC`, `ERR_VFMIG_PF_REFUSED`, `ERR_VFMIG_PF_SILENT`
 */
export async function claim(parts: Parts, signal: AbortSignal): Promise<void> {
  const { pf, mailbox, session } = parts;
  const { conversation } = mailbox;
  const assigned = await freshVf(parts, signal);
  if (!conversation.cleared) return;
  session.touched = true;
  for (const request of conversation.requests()) {
    const own = isOwnAddress(request);
    // A VF that is not trusted may not even set the address that it has.
    if (own && conversation.mac === assigned) continue;
    try {
      // oxlint-disable-next-line no-await-in-loop -- the mailbox holds one message
      await pf.demand(request, limits(parts, signal));
    } catch (error) {
      throw own && VfmigError.is(error) && error.code === "ERR_VFMIG_PF_REFUSED"
        ? addressRefused(conversation.mac, assigned, error)
        : error;
    }
  }
  session.released = false;
}

/**
 * How this host's PF gives addresses; asked in no guest's name, hence only before one has spoken.
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_VF_NOT_READY`
 */
export async function addressPolicy(
  parts: Parts,
  signal?: AbortSignal,
): Promise<AddressPolicy | undefined> {
  const { session, mailbox, pf } = parts;
  if (session.policy !== undefined || mailbox.spoken || session.loaded) return session.policy;
  const assigned = await freshVf(parts, signal);
  if (mailbox.spoken) return undefined;
  let changeable = true;
  if (assigned !== undefined) {
    // The PF refuses an untrusted VF the very address that it has, so that asking changes nothing.
    const [head = 0] = await pf.exchange(buildMac(assigned), limits(parts, signal));
    changeable = isAck(head);
  }
  session.policy = { assigned: assigned ?? null, changeable };
  return session.policy;
}

function limits(
  parts: Parts,
  signal: AbortSignal | undefined,
): {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
} {
  return { timeoutMs: parts.context.options.pfTimeoutMs, signal };
}

function isOwnAddress([head = 0]: readonly number[]): boolean {
  return opcodeOf(head) === OPCODE.SET_MAC_ADDR && infoOf(head) === MAC_INFO.SET;
}

function addressRefused(
  mac: string | undefined,
  assigned: string | undefined,
  cause: VfmigError,
): VfmigError {
  const why = assigned === undefined ? "" : ` (its administrator has set ${assigned})`;
  return igbError(
    "ERR_VFMIG_VF_MAC",
    `this host's PF does not let the VF have the guest's address ${mac ?? ""}${why}; set that address for the VF or trust it (ip link set PF vf N trust on)`,
    { mac, assigned },
    cause,
  );
}
