import type { Incompatibility } from "@vfmig/core";
import type { VlanCaps, VlanSupport } from "../../virtchnl/vlan-v2.ts";

/** Why a target offers less of VLAN V2 than a guest was told of; empty if it does not. */
export function lessVlan(source: VlanCaps, target: VlanCaps | undefined): Incompatibility[] {
  if (target === undefined) {
    return [problem("vlan", "offered", "not offered", "VLAN V2 is not there")];
  }
  return [
    ...tags("filtering", source.filtering, target.filtering),
    ...tags("stripping", source.stripping, target.stripping),
    ...tags("insertion", source.insertion, target.insertion),
    ...filters(source.maxFilters, target.maxFilters),
    ...start("filteringInit", source.filteringInit, target.filteringInit),
    ...start("offloadInit", source.offloadInit, target.offloadInit),
    // 1 says that stripping and insertion need not use the same ethertype.
    ...(source.ethertypeMatch > target.ethertypeMatch
      ? [problem("vlan.ethertypeMatch", 1, 0, "stripping and insertion need the same ethertype")]
      : []),
  ];
}

function problem(field: string, source: unknown, target: unknown, what: string): Incompatibility {
  const remedy =
    "run the target's port in the same VLAN mode and PF driver, with the same port VLAN";
  return { field, source, target, reason: `on the target ${what}; ${remedy}` };
}

function tags(name: string, source: VlanSupport, target: VlanSupport): Incompatibility[] {
  return (["outer", "inner"] as const).flatMap((tag) => {
    const missing = (source[tag] & ~target[tag]) >>> 0;
    const what = `VLAN ${name} of the ${tag} tag lacks what the guest was told of (0x${missing.toString(16)})`;
    return missing === 0 ? [] : [problem(`vlan.${name}.${tag}`, source[tag], target[tag], what)];
  });
}

function start(name: string, source: number, target: number): Incompatibility[] {
  const what = "other VLANs are handled from the start";
  return source === target ? [] : [problem(`vlan.${name}`, source, target, what)];
}

function filters(source: number, target: number): Incompatibility[] {
  if (target >= source) {
    return [];
  }
  const reason = `the guest may have ${source} VLANs and the target's gives ${target}; trust the VF there as on the source`;
  return [{ field: "vlan.maxFilters", source, target, reason }];
}
