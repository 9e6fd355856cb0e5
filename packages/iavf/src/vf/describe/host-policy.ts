import type { Incompatibility } from "@vfmig/core";
import { z } from "zod";
import { macFromString } from "../../virtchnl/body.ts";
import { buildMacList, MAC_KIND } from "../../virtchnl/filters.ts";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import type { VfResources } from "../../virtchnl/session.ts";
import type { Parts } from "../parts.ts";
import type { HostPolicy } from "./offers.ts";

const NO_MAC = "00:00:00:00:00:00";
/** A locally administered address that stands for any that a guest may choose. */
const ANY_MAC = "06:76:66:6d:69:67";

/** What a guest uses that a host's policy may forbid. */
export interface PolicyUse {
  readonly macs: readonly string[];
  /** VLANs of v1. */
  readonly vlans: number;
}

const policyUse: z.ZodType<PolicyUse> = z.object({
  macs: z.array(z.string()),
  vlans: z.number(),
});

/**
 * Finds the host's policy out on a VF that no guest uses, and that is reset afterwards. A trusted VF
 * may have more group addresses than another one; one whose address the host has set, no other of its
 * own. Nothing else tells a VF.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`
 */
export async function askPolicy(parts: Parts, resources: VfResources): Promise<HostPolicy> {
  const { mailbox, family, context } = parts;
  const { vsiId, mac } = resources;
  const add = async (macs: readonly string[]): Promise<boolean> => {
    const filters = macs.map((address) => ({ mac: address, kind: MAC_KIND.EXTRA }));
    const body = buildMacList({ vsiId, filters });
    const options = { timeoutMs: context.options.pfTimeoutMs };
    const { status } = await mailbox.request(VIRTCHNL_OP.ADD_ETH_ADDR, body, options);
    return status === 0;
  };
  const trusted = await add(groupMacs(family.untrusted.macs + 1));
  // A VF without an address of its own would keep the first that it adds.
  const ownMacs = trusted || mac === NO_MAC || (await add([ANY_MAC]));
  return { trusted, mac, ownMacs, ...family.untrusted };
}

function groupMacs(count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) => `07:76:66:6d:69:${index.toString(16).padStart(2, "0")}`,
  );
}

/** Why the policy of the target's host does not allow what a guest uses; empty if it does. Pure. */
export function forbidden(uses: unknown, policy: HostPolicy | undefined): Incompatibility[] {
  const use = policyUse.safeParse(uses);
  if (!use.success || policy === undefined || policy.trusted) {
    return [];
  }
  const { macs, vlans } = use.data;
  return [
    ...foreign(macs, policy),
    ...tooMany("policy.macs", macs.length, policy.macs, "MAC addresses"),
    ...tooMany("policy.vlans", vlans, policy.vlans, "VLANs"),
  ];
}

function foreign(macs: readonly string[], { mac, ownMacs }: HostPolicy): Incompatibility[] {
  const others = macs.filter((address) => address !== mac && !isGroup(address));
  if (ownMacs || others.length === 0) {
    return [];
  }
  const reason = `the target's host has set the VF's address to ${mac} and lets it have no other, but the guest uses ${others.join(", ")}; set that address there, none, or trust the VF`;
  return [{ field: "policy.mac", source: others, target: mac, reason }];
}

function isGroup(mac: string): boolean {
  return ((macFromString(mac)[0] ?? 0) & 1) === 1;
}

function tooMany(field: string, source: number, target: number, what: string): Incompatibility[] {
  if (source <= target) {
    return [];
  }
  const reason = `the guest uses ${source} ${what} and the target's host, which does not trust the VF, gives it ${target}; trust the VF there as on the source`;
  return [{ field, source, target, reason }];
}
