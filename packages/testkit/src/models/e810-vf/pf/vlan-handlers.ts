import {
  VIRTCHNL_STATUS,
  VLAN_SUPPORT,
  buildVlanCaps,
  expectLength,
  parseVlanSetting,
  parseVlanV2List,
  vlanEthertype,
  vlanEthertypeBit,
  type VlanSetting,
  type VlanSupport,
  type VlanTag,
  type VlanV2Filter,
  type VlanV2List,
} from "@vfmig/iavf";
import { vlanKey } from "../../intel-vf/filters.ts";
import type { PfAnswer, PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";
import { vlanCaps } from "./vlan-caps.ts";

export { MAX_VLANS } from "./vlan-caps.ts";

const { NOT_SUPPORTED, PARAM, SUCCESS } = VIRTCHNL_STATUS;

/** Priority bits of a TCI. */
const PRIORITY = 0xe000;

const hasBit = (support: number, bit: number): boolean => (support & bit) !== 0;

export const getVlanCaps: PfHandler = {
  run({ options }, body) {
    expectLength("GET_OFFLOAD_VLAN_V2_CAPS", body, 0);
    return buildVlanCaps(vlanCaps(options));
  },
};

/** All filters are checked before the first is added. */
export const addVlans: PfHandler = {
  run(hardware, body) {
    const { options, filters } = hardware;
    const list = parseVlanV2List(body);
    const caps = vlanCaps(options);
    if (list.vport !== options.vsiId) return PARAM;
    if (filters.vlans.size + list.filters.length > caps.maxFilters) return PARAM;
    if (!isListValid(list, caps.filtering)) return PARAM;
    for (const key of keysOf(list)) {
      filters.vlans.add(key);
      if (options.spoofCheck) filters.checkTxVlans = true;
    }
    return SUCCESS;
  },
};

/** A VLAN that is not there is an error; those before it are gone. */
export const deleteVlans: PfHandler = {
  run({ options, filters }, body) {
    const list = parseVlanV2List(body);
    if (list.vport !== options.vsiId) return PARAM;
    if (!isListValid(list, vlanCaps(options).filtering)) return PARAM;
    for (const key of keysOf(list)) {
      if (!filters.vlans.delete(key)) return PARAM;
      if (filters.vlans.size === 0) filters.checkTxVlans = false;
    }
    return SUCCESS;
  },
};

/** A tag without id or without ethertype is one that the filter does not ask for. */
function isAsked({ tci, tpid }: VlanTag): boolean {
  return tci !== 0 && tpid !== 0;
}

/** VLANs of the list that are not 0, outer before inner. */
function keysOf({ filters }: VlanV2List): number[] {
  return filters
    .flatMap(({ outer, inner }) => [outer, inner])
    .filter((tag) => isAsked(tag) && (tag.tci & 0xfff) !== 0)
    .map(({ tci, tpid }) => vlanKey(tpid, tci & 0xfff));
}

function isListValid(list: VlanV2List, { outer, inner }: VlanSupport): boolean {
  const valid = (filter: VlanV2Filter): boolean =>
    isTagValid(filter.outer, outer) && isTagValid(filter.inner, inner);
  return list.filters.every((filter) => valid(filter));
}

function isTagValid(tag: VlanTag, support: number): boolean {
  if (tag.tciMask !== 0 && !hasBit(support, VLAN_SUPPORT.FILTER_MASK)) return false;
  if ((tag.tci & PRIORITY) !== 0 && !hasBit(support, VLAN_SUPPORT.PRIO)) return false;
  return !isAsked(tag) || hasBit(support, vlanEthertypeBit(tag.tpid));
}

/** ENABLE_ and DISABLE_VLAN_STRIPPING_V2. A queue that keeps check sequences rules stripping out. */
export function setStripping(on: boolean): PfHandler {
  return {
    run({ options, filters, receiver }, body) {
      const setting = parseVlanSetting(body);
      if (setting.vport !== options.vsiId) return PARAM;
      if (!isSettingValid(setting, vlanCaps(options).stripping)) return PARAM;
      if (on && receiver.keepsCrc) return NOT_SUPPORTED;
      return applyOffload(setting, on, {
        outer: (type) => void (filters.stripOuterType = type),
        inner: () => void (filters.stripVlan = on),
      });
    },
  };
}

/** ENABLE_ and DISABLE_VLAN_INSERTION_V2. The inner tag's is never blocked: a descriptor may always ask. */
export function setInsertion(on: boolean): PfHandler {
  return {
    run({ options, filters }: PfHardware, body: Uint8Array): PfAnswer {
      const setting = parseVlanSetting(body);
      if (setting.vport !== options.vsiId) return PARAM;
      if (!isSettingValid(setting, vlanCaps(options).insertion)) return PARAM;
      return applyOffload(setting, on, {
        outer: (type) => void (filters.insertOuterType = type),
        inner: () => undefined,
      });
    },
  };
}

interface Offload {
  /** Gets the ethertype, or 0 to disable. */
  outer(ethertype: number): void;
  inner(): void;
}

/** The outer tag first; what was done stays where the inner tag's ethertype is wrong. */
function applyOffload({ outer, inner }: VlanSetting, on: boolean, offload: Offload): number {
  if (outer !== 0) {
    const type = vlanEthertype(outer);
    if (on && type === 0) return PARAM;
    offload.outer(on ? type : 0);
  }
  if (inner !== 0) {
    if (on && vlanEthertype(inner) === 0) return PARAM;
    offload.inner();
  }
  return SUCCESS;
}

function isSettingValid({ outer, inner }: VlanSetting, support: VlanSupport): boolean {
  if (outer === 0 && inner === 0) return false;
  return mayToggle(outer, support.outer) && mayToggle(inner, support.inner);
}

/** One ethertype at a time, of those offered, where TOGGLE says that it may change at all. */
function mayToggle(setting: number, support: number): boolean {
  if (setting === 0) return true;
  if (!hasBit(support, setting) || !hasBit(support, VLAN_SUPPORT.TOGGLE)) return false;
  const several = (setting & (setting - 1)) !== 0;
  return !several || hasBit(support, VLAN_SUPPORT.ETHERTYPE_AND);
}
