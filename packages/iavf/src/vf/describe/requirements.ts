import type { Incompatibility } from "@vfmig/core";
import type { Offers } from "./offers.ts";
import { lessVlan } from "./vlan-offers.ts";

/** Why `target` does not offer what a guest was given on `source`; empty if it does. */
export function lessThan(source: Offers, target: Offers): Incompatibility[] {
  return [
    ...pairs(source, target),
    ...atLeast("vectors", source.vectors, target.vectors, "MSI-X vectors"),
    ...frame(source.maxFrame, target.maxFrame),
    ...capabilities(source, target),
    ...same("rss.keySize", source.rssKeySize, target.rssKeySize, "RSS keys"),
    ...same("rss.lutSize", source.rssLutSize, target.rssLutSize, "RSS tables"),
    ...rxFormats(source.rxFormats ?? [], target.rxFormats ?? []),
    ...(source.vlan === undefined ? [] : lessVlan(source.vlan, target.vlan)),
  ];
}

function pairs(source: Offers, target: Offers): Incompatibility[] {
  const most = Math.max(target.queuePairs, target.pairsOnRequest ?? 0);
  return atLeast("queues.pairs", source.queuePairs, most, "queue pairs");
}

function atLeast(field: string, source: number, target: number, what: string): Incompatibility[] {
  if (target >= source) {
    return [];
  }
  const reason = `the guest was given ${source} ${what} and the target can have ${target}; give the target's VF as many`;
  return [{ field, source, target, reason }];
}

function same(field: string, source: number, target: number, what: string): Incompatibility[] {
  if (source === target) {
    return [];
  }
  const reason = `the guest knows ${what} of ${source} bytes and the target has ${target}; choose a target with the same hardware and PF driver`;
  return [{ field, source, target, reason }];
}

function capabilities(source: Offers, target: Offers): Incompatibility[] {
  return source.capabilities
    .filter((name) => !target.capabilities.includes(name))
    .map((name) => ({
      field: `capabilities.${name}`,
      source: true,
      target: false,
      reason: `the guest was granted ${name}, which the target's PF does not grant or its plugin hides; use the same PF driver, hardware generation and options there`,
    }));
}

function rxFormats(source: readonly number[], target: readonly number[]): Incompatibility[] {
  const missing = source.filter((format) => !target.includes(format));
  if (missing.length === 0) {
    return [];
  }
  const reason = `the guest was told of Rx descriptor format ${missing.join(", ")}, which the target does not have; load the same DDP package there`;
  return [{ field: "rxFormats", source, target, reason }];
}

function frame(source: number, target: number): Incompatibility[] {
  if (target === 0 || (source !== 0 && target >= source)) {
    return [];
  }
  const reason = `the guest may send frames of ${source === 0 ? "any length" : `${source} bytes`} and the target takes ${target}; remove the port VLAN or raise the port's frame length there`;
  return [{ field: "maxFrame", source, target, reason }];
}
