import type { Incompatibility } from "@vfmig/core";
import { capabilityNames, VF_CAP } from "../../virtchnl/capabilities.ts";
import type { VfResources } from "../../virtchnl/session.ts";
import type { VfFamily } from "../family.ts";

/** What a VF offers to its guest, or what a guest has been given. */
export interface Offers {
  readonly queuePairs: number;
  readonly vectors: number;
  /** Longest frame in bytes; 0 where the PF tells no limit. */
  readonly maxFrame: number;
  readonly capabilities: readonly string[];
  readonly rssKeySize: number;
  readonly rssLutSize: number;
}

/** A PF's answer as offers; capabilities that are hidden from guests do not count. */
export function offersOf(resources: VfResources, family: VfFamily): Offers {
  return {
    queuePairs: resources.queuePairs,
    vectors: resources.maxVectors,
    maxFrame: resources.maxFrame,
    capabilities: capabilityNames(resources.caps & family.carriedCaps),
    rssKeySize: resources.rssKeySize,
    rssLutSize: resources.rssLutSize,
  };
}

/** Why `target` does not offer what a guest was given on `source`; empty if it does. */
export function lessThan(source: Offers, target: Offers): Incompatibility[] {
  return [
    atLeast("queues.pairs", source.queuePairs, target.queuePairs, "queue pairs"),
    atLeast("vectors", source.vectors, target.vectors, "MSI-X vectors"),
    frame(source.maxFrame, target.maxFrame),
    ...source.capabilities
      .filter((name) => !target.capabilities.includes(name))
      .map((name) => ({
        field: `capabilities.${name}`,
        source: true,
        target: false,
        reason: `the guest was granted ${name}, which the target's PF does not grant; use the same PF driver and hardware generation there`,
      })),
    same("rss.keySize", source.rssKeySize, target.rssKeySize, "RSS keys"),
    same("rss.lutSize", source.rssLutSize, target.rssLutSize, "RSS tables"),
  ].filter((found) => found !== undefined);
}

function atLeast(
  field: string,
  source: number,
  target: number,
  what: string,
): Incompatibility | undefined {
  if (target >= source) {
    return undefined;
  }
  return {
    field,
    source,
    target,
    reason: `the guest was given ${source} ${what} and the target has ${target}; give the target's VF as many`,
  };
}

function same(
  field: string,
  source: number,
  target: number,
  what: string,
): Incompatibility | undefined {
  if (source === target) {
    return undefined;
  }
  return {
    field,
    source,
    target,
    reason: `the guest knows ${what} of ${source} bytes and the target has ${target}`,
  };
}

function frame(source: number, target: number): Incompatibility | undefined {
  if (target === 0 || (source !== 0 && target >= source)) {
    return undefined;
  }
  return {
    field: "maxFrame",
    source,
    target,
    reason: `the guest may send frames of ${source === 0 ? "any length" : `${source} bytes`} and the target takes ${target}; remove the port VLAN or raise the port's frame length there`,
  };
}

/** Names of the capabilities that this plugin never lets a guest have. */
export function hiddenCapabilities(family: VfFamily): string[] {
  return Object.entries(VF_CAP)
    .filter(([, bit]) => (bit & family.carriedCaps) === 0)
    .map(([name]) => name);
}
