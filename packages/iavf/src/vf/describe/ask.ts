import { IAVF_7_2_CAPS, VF_CAP } from "../../virtchnl/capabilities.ts";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { parseSupportedRxdids } from "../../virtchnl/rx-formats.ts";
import {
  buildRequestQueues,
  buildResourcesRequest,
  buildVersion,
  parseRequestQueues,
  parseResources,
  type VfResources,
} from "../../virtchnl/session.ts";
import { parseVlanCaps } from "../../virtchnl/vlan-v2.ts";
import { VF_REGISTER_COUNT } from "../../registers.ts";
import { shownCaps } from "../features/features.ts";
import { freshVf, ready } from "../migration/reset-vf.ts";
import type { Parts } from "../parts.ts";
import { askPolicy } from "./host-policy.ts";
import { type Offers, offersOf } from "./offers.ts";
import { formatBits, formatNumbers } from "./rx-formats.ts";

const NO_BODY = new Uint8Array(0);

/**
 * Asks the PF in the guest's place what it would offer. A PF answers once between two resets, so the VF
 * is reset afterwards.
 *
 * @throws VfmigError `ERR_VFMIG_VF_NOT_READY`, `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function askOffers(parts: Parts): Promise<Offers> {
  const { mailbox, config, context, session } = parts;
  const release = config.hold();
  const releaseGuest = mailbox.holdGuest();
  const { signal } = new AbortController();
  try {
    await freshVf(parts, signal);
    await ready(parts, signal);
    session.touched = true;
    const resources = await askResources(parts);
    const { uncarried, askPolicy: wanted } = context.options;
    const offloads = await askOffloads(parts, resources);
    const caps = resources.caps | grantedInstead(parts, resources, offloads);
    const offers = { ...offersOf({ ...resources, caps }, uncarried), ...offloads };
    const policy = wanted ? { policy: await askPolicy(parts, resources) } : {};
    const pairs = wanted ? { pairsOnRequest: await askPairs(parts, resources, signal) } : {};
    await freshVf(parts, signal);
    return { ...offers, ...policy, ...pairs };
  } catch (error) {
    // What the PF answers late, it would refuse the guest that asks next.
    await freshVf(parts, signal).catch(() => {});
    throw error;
  } finally {
    releaseGuest();
    release();
  }
}

async function askResources(parts: Parts): Promise<VfResources> {
  const { mailbox, context } = parts;
  const options = { timeoutMs: context.options.pfTimeoutMs };
  const caps = IAVF_7_2_CAPS & shownCaps(context.options.uncarried);
  const [, reply] = await Promise.all([
    mailbox.demand(VIRTCHNL_OP.VERSION, buildVersion(), options),
    mailbox.demand(VIRTCHNL_OP.GET_VF_RESOURCES, buildResourcesRequest(caps), options),
  ]);
  return parseResources(reply);
}

/** What the PF would grant to a guest that does not ask for something better. */
function grantedInstead(
  { family }: Parts,
  { caps }: VfResources,
  { vlan }: Pick<Offers, "vlan">,
): number {
  const instead = family.grantedInstead
    .filter(([granted]) => (caps & granted) !== 0)
    .reduce((bits, [, bit]) => bits | bit, 0);
  // A port that filters outer tags has nothing for a guest that knows one tag only.
  return (vlan?.filtering.outer ?? 0) === 0 ? instead : instead & ~VF_CAP.VLAN;
}

/** VLAN V2 and Rx formats, where they were granted. */
export async function askOffloads(
  { mailbox, family, context }: Parts,
  { caps }: VfResources,
  signal?: AbortSignal,
): Promise<Pick<Offers, "vlan" | "rxFormats">> {
  const timeoutMs = context.options.pfTimeoutMs;
  const options = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
  const demand = (opcode: number): Promise<Uint8Array> => mailbox.demand(opcode, NO_BODY, options);
  const [vlan, formats] = await Promise.all([
    (caps & VF_CAP.VLAN_V2) === 0 ? undefined : demand(VIRTCHNL_OP.GET_OFFLOAD_VLAN_V2_CAPS),
    (caps & VF_CAP.RX_FLEX_DESC) === 0 ? undefined : demand(VIRTCHNL_OP.GET_SUPPORTED_RXDIDS),
  ]);
  return {
    ...(vlan === undefined ? {} : { vlan: parseVlanCaps(vlan) }),
    ...(formats === undefined
      ? {}
      : { rxFormats: formatNumbers(parseSupportedRxdids(formats) & formatBits(family)) }),
  };
}

/**
 * The most pairs that this VF can have. A PF that has them gives them at once, with a reset, so they
 * are given back with another.
 */
async function askPairs(
  parts: Parts,
  { queuePairs, caps }: VfResources,
  signal: AbortSignal,
): Promise<number> {
  const most = VF_REGISTER_COUNT.queues;
  if (queuePairs >= most || (caps & VF_CAP.REQ_QUEUES) === 0) {
    return queuePairs;
  }
  const possible = await requestPairs(parts, most, signal);
  if (possible >= most) {
    await askResources(parts);
    await requestPairs(parts, queuePairs, signal);
  }
  return Math.max(possible, queuePairs);
}

/**
 * Asks the PF for as many pairs; granted with a reset of the VF, after which nothing has been asked of
 * the PF yet. Returns how many the VF can have.
 *
 * @throws VfmigError `ERR_VFMIG_VF_NOT_READY`
 */
export async function requestPairs(
  parts: Parts,
  pairs: number,
  signal: AbortSignal,
): Promise<number> {
  const { mailbox, context } = parts;
  const timeoutMs = context.options.resetMs;
  const body = buildRequestQueues(pairs);
  const reply = await mailbox.requestReset(VIRTCHNL_OP.REQUEST_QUEUES, body, { timeoutMs, signal });
  signal.throwIfAborted();
  if (reply !== undefined) {
    return reply.status === 0 ? parseRequestQueues(reply.body) : 0;
  }
  if (mailbox.online) {
    // Neither an answer nor a reset: this PF has not taken the request.
    return 0;
  }
  await ready(parts, signal);
  return pairs;
}
