import { loadConversation, type ConversationState } from "../../mailbox/conversation-state.ts";
import { VF_CAP } from "../../virtchnl/capabilities.ts";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import {
  buildResourcesRequest,
  buildVersion,
  parseResources,
  type VfResources,
  type VirtchnlVersion,
} from "../../virtchnl/session.ts";
import { requestPairs } from "../describe/ask.ts";
import { givenOffers } from "../describe/describe.ts";
import { type Offers, offersOf } from "../describe/offers.ts";
import { lessThan } from "../describe/requirements.ts";
import { vfError } from "../errors.ts";
import type { Parts } from "../parts.ts";

const NO_BODY = new Uint8Array(0);

/**
 * Has this host's PF grant what the guest was granted elsewhere, and no more: what it would grant
 * beyond that the guest knows nothing of. Returns the PF's answer; undefined where the guest has not
 * asked for anything yet.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`, `ERR_VFMIG_VF_GRANTS_LESS`
 */
export async function negotiate(
  parts: Parts,
  state: ConversationState,
  signal: AbortSignal,
): Promise<VfResources | undefined> {
  const { mailbox, context } = parts;
  const options = { timeoutMs: context.options.pfTimeoutMs, signal };
  const { version, resources } = state;
  loadConversation(mailbox.conversation, state);
  if (version === undefined) {
    return undefined;
  }
  if (resources === undefined) {
    await mailbox.demand(VIRTCHNL_OP.VERSION, buildVersion(version), options);
    return undefined;
  }
  let granted = await ask(parts, state, version, signal);
  const grantsPairs = (granted.caps & VF_CAP.REQ_QUEUES) !== 0;
  if (granted.queuePairs < resources.queuePairs && grantsPairs) {
    const possible = await requestPairs(parts, resources.queuePairs, signal);
    if (possible >= resources.queuePairs) {
      // The reset that came with them took the conversation along.
      loadConversation(mailbox.conversation, state);
      granted = await ask(parts, state, version, signal);
    }
  }
  refuseLess(parts, offersOf(granted, context.options.uncarried), { offloads: false });
  mailbox.conversation.hostCaps = granted.caps;
  mailbox.setVsi(resources.vsiId, granted.vsiId);
  return granted;
}

async function ask(
  parts: Parts,
  state: ConversationState,
  version: VirtchnlVersion,
  signal: AbortSignal,
): Promise<VfResources> {
  const { mailbox, context } = parts;
  const options = { timeoutMs: context.options.pfTimeoutMs, signal };
  const body =
    state.capsAsked === undefined ? NO_BODY : buildResourcesRequest(wishes(parts, state));
  // A PF takes requests in their order, so none has to wait for the other's answer.
  const [, reply] = await Promise.all([
    mailbox.demand(VIRTCHNL_OP.VERSION, buildVersion(version), options),
    mailbox.demand(VIRTCHNL_OP.GET_VF_RESOURCES, body, options),
  ]);
  return parseResources(reply);
}

const ANY_RSS = VF_CAP.RSS_PF | VF_CAP.RSS_REG | VF_CAP.RSS_AQ;

/**
 * What the guest was granted, and what it asked for that no PF grants but some look at. A guest that has
 * no say in RSS needs one all the same, said for it, where this host's VF has other pairs.
 */
function wishes({ family }: Parts, { capsAsked = 0, resources }: ConversationState): number {
  const granted = resources?.caps ?? 0;
  const rss = (granted & ANY_RSS) === 0 ? VF_CAP.RSS_PF : 0;
  return (granted | rss | (capsAsked & family.neverGranted)) >>> 0;
}

/** @throws VfmigError `ERR_VFMIG_VF_GRANTS_LESS` */
export function refuseLess(
  parts: Parts,
  target: Offers,
  { offloads }: { readonly offloads: boolean },
): void {
  const given = givenOffers(parts);
  if (given === undefined) {
    return;
  }
  // Offloads are asked for later than the rest.
  const source = offloads ? given : { ...given, vlan: undefined, rxFormats: undefined };
  const [less] = lessThan(source, target);
  if (less !== undefined) {
    throw vfError(
      parts.family,
      "ERR_VFMIG_VF_GRANTS_LESS",
      `this host's PF grants less: ${less.reason}`,
      { field: less.field, source: less.source, target: less.target },
    );
  }
}
