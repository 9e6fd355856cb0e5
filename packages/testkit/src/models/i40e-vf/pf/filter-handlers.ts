import {
  PROMISCUOUS,
  VIRTCHNL_STATUS,
  expectLength,
  macFromString,
  parseMacList,
  parsePromiscuous,
  parseVlanList,
} from "@vfmig/iavf";
import { BROADCAST_MAC, TAG_TYPE, isGroupMac, macNumber, vlanKey } from "../../intel-vf/filters.ts";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";

/** Filters of a VF that the host does not trust: 16 addresses, its own and broadcast; 16 VLANs. */
const MAX_MACS = 18;
const MAX_VLANS = 16;

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

export const addMacs: PfHandler = {
  run(hardware, body) {
    const macs = addresses(hardware, body);
    if (macs === undefined || !mayAdd(hardware, macs)) return PARAM;
    for (const mac of macs) {
      hardware.filters.macs.add(mac);
      if (hardware.state.mac === 0 && !isGroupMac(mac)) hardware.state.mac = mac;
    }
    return SUCCESS;
  },
};

export const deleteMacs: PfHandler = {
  run(hardware, body) {
    const macs = addresses(hardware, body);
    if (macs === undefined) return PARAM;
    const { options, state, filters } = hardware;
    for (const mac of macs) {
      // The host's choice of an address stays.
      if (mac === state.mac && options.adminMac) continue;
      if (!filters.macs.delete(mac)) return PARAM;
      if (mac === state.mac) state.mac = 0;
    }
    return SUCCESS;
  },
};

/** The list's addresses; undefined for another VSI, a zero address, or broadcast. */
function addresses(hardware: PfHardware, body: Uint8Array): number[] | undefined {
  const { vsiId, filters } = parseMacList(body);
  if (vsiId !== hardware.options.vsiId) return undefined;
  const macs = filters.map((filter) => macNumber(macFromString(filter.mac), 0));
  return macs.some((mac) => mac === 0 || mac === BROADCAST_MAC) ? undefined : macs;
}

function mayAdd({ options, state, filters }: PfHardware, macs: readonly number[]): boolean {
  if (options.trusted) return true;
  const overrides = (mac: number): boolean => !isGroupMac(mac) && mac !== state.mac;
  if (options.adminMac && macs.some((mac) => overrides(mac))) return false;
  const added = macs.filter((mac) => !filters.macs.has(mac)).length;
  return filters.macs.size + added <= MAX_MACS;
}

/** The first VLAN turns stripping on; beyond the limit the PF does nothing and still says success. */
export const addVlans: PfHandler = {
  run({ options, state, filters }, body) {
    const { vsiId, ids } = parseVlanList(body);
    if (state.vlanCount >= MAX_VLANS && !options.trusted) return SUCCESS;
    if (vsiId !== options.vsiId) return PARAM;
    filters.stripVlan = true;
    for (const id of ids) {
      state.vlanCount++;
      if (id !== 0) filters.vlans.add(vlanKey(TAG_TYPE.C_VLAN, id));
    }
    filters.pruneVlans = filters.vlans.size > 0;
    return SUCCESS;
  },
};

export const deleteVlans: PfHandler = {
  run({ options, state, filters }, body) {
    const { vsiId, ids } = parseVlanList(body);
    if (vsiId !== options.vsiId) return PARAM;
    for (const id of ids) {
      filters.vlans.delete(vlanKey(TAG_TYPE.C_VLAN, id));
      if (state.vlanCount > 0) state.vlanCount--;
    }
    filters.pruneVlans = filters.vlans.size > 0;
    return SUCCESS;
  },
};

/** An untrusted VF is told success, and nothing changes: what the PF driver calls a lie on purpose. */
export const setPromiscuous: PfHandler = {
  run({ options, filters }, body) {
    const { vsiId, flags } = parsePromiscuous(body);
    if (!options.trusted) return SUCCESS;
    if (flags > (PROMISCUOUS.UNICAST | PROMISCUOUS.MULTICAST)) return PARAM;
    if (vsiId !== options.vsiId) return PARAM;
    filters.promiscuousUnicast = (flags & PROMISCUOUS.UNICAST) !== 0;
    filters.promiscuousMulticast = (flags & PROMISCUOUS.MULTICAST) !== 0;
    return SUCCESS;
  },
};

/** ENABLE_ and DISABLE_VLAN_STRIPPING. */
export function setStripping(on: boolean): PfHandler {
  return {
    run({ filters }, body) {
      expectLength("VLAN stripping", body, 0);
      filters.stripVlan = on;
      return SUCCESS;
    },
  };
}
