import { capabilityNames, VF_CAP } from "../../virtchnl/capabilities.ts";
import type { VfResources } from "../../virtchnl/session.ts";
import type { VlanCaps } from "../../virtchnl/vlan-v2.ts";
import { shownCaps, type UncarriedPolicy } from "../features/features.ts";
import { z } from "zod";

/** What a VF offers to its guest, or what a guest has been given. */
export interface Offers {
  readonly queuePairs: number;
  /** Pairs that the PF would give if it were asked for as many as it can. */
  readonly pairsOnRequest?: number | undefined;
  readonly vectors: number;
  /** Longest frame in bytes; 0 where the PF tells no limit. */
  readonly maxFrame: number;
  readonly capabilities: readonly string[];
  readonly rssKeySize: number;
  readonly rssLutSize: number;
  /** What is offered of VLAN V2, where that was granted. */
  readonly vlan?: VlanCaps | undefined;
  /** Rx formats (RXDID), where they may be chosen. */
  readonly rxFormats?: readonly number[] | undefined;
  readonly policy?: HostPolicy | undefined;
}

/** What the host lets a VF do, as its PF's answers tell. */
export interface HostPolicy {
  /** The host trusts the VF: filters without these limits, and promiscuous modes. */
  readonly trusted: boolean;
  /** The address that the PF hands out; zeros where it leaves the choice to the guest. */
  readonly mac: string;
  /** The guest may have other unicast addresses than that. */
  readonly ownMacs: boolean;
  /** MAC addresses that a guest may have where the VF is not trusted. */
  readonly macs: number;
  /** VLANs (v1) that a guest may have where the VF is not trusted. */
  readonly vlans: number;
}

const support = z.object({ outer: z.number(), inner: z.number() });

const vlan: z.ZodType<VlanCaps> = z.object({
  filtering: support,
  filteringInit: z.number(),
  maxFilters: z.number(),
  stripping: support,
  insertion: support,
  offloadInit: z.number(),
  ethertypeMatch: z.number(),
});

const policy: z.ZodType<HostPolicy> = z.object({
  trusted: z.boolean(),
  mac: z.string(),
  ownMacs: z.boolean(),
  macs: z.number(),
  vlans: z.number(),
});

/** Offers in a description, which may come from another host. */
export const offersSchema: z.ZodType<Offers> = z.object({
  queuePairs: z.number(),
  pairsOnRequest: z.number().optional(),
  vectors: z.number(),
  maxFrame: z.number(),
  capabilities: z.array(z.string()),
  rssKeySize: z.number(),
  rssLutSize: z.number(),
  vlan: vlan.optional(),
  rxFormats: z.array(z.number()).optional(),
  policy: policy.optional(),
});

/** A PF's answer as offers; capabilities that are hidden from guests do not count. */
export function offersOf(resources: VfResources, uncarried: UncarriedPolicy): Offers {
  return {
    queuePairs: resources.queuePairs,
    vectors: resources.maxVectors,
    maxFrame: resources.maxFrame,
    capabilities: capabilityNames(resources.caps & shownCaps(uncarried)),
    rssKeySize: resources.rssKeySize,
    rssLutSize: resources.rssLutSize,
  };
}

/** Names of the capabilities that no guest of this plugin gets. */
export function hiddenCapabilities(uncarried: UncarriedPolicy): string[] {
  return Object.entries(VF_CAP)
    .filter(([, bit]) => (bit & shownCaps(uncarried)) === 0)
    .map(([name]) => name);
}
