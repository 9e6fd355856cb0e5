import {
  MAC_KIND,
  PROMISCUOUS,
  VIRTCHNL_STATUS,
  macFromString,
  parseMacList,
  parsePromiscuous,
} from "@vfmig/iavf";
import { BROADCAST_MAC, isGroupMac, macNumber } from "../../intel-vf/filters.ts";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";

/** Filters of a VF that the host does not trust, its own address and broadcast among them. */
const MAX_MACS = 18;

/** LLDP: 01:80:c2:00:00:00, :03 and :0e. */
const LLDP_MACS: ReadonlySet<number> = new Set([
  0x0180_c200_0000, 0x0180_c200_0003, 0x0180_c200_000e,
]);

const { ADMIN_QUEUE_ERROR, PARAM, SUCCESS } = VIRTCHNL_STATUS;

/** Stops at the first address that the VF may not have; those before it stay. */
export const addMacs: PfHandler = {
  run(hardware, body) {
    const { options, state, filters } = hardware;
    const list = parseMacList(body);
    if (list.vsiId !== options.vsiId) return PARAM;
    const count = filters.macs.size + list.filters.length;
    if (!options.trusted && count > MAX_MACS) return PARAM;
    for (const filter of list.filters) {
      const mac = macNumber(macFromString(filter.mac), 0);
      if (mac === 0 || mac === BROADCAST_MAC || mac === state.usedMac) continue;
      if (!mayAdd(hardware, mac)) return ADMIN_QUEUE_ERROR;
      filters.macs.add(mac);
      if (!isGroupMac(mac) && becomesOwn(filter.kind, state.mac)) {
        state.mac = mac;
        state.usedMac = mac;
      }
    }
    return SUCCESS;
  },
};

/** A new driver says which address is its own; an old one's first becomes it. */
function becomesOwn(kind: number, own: number): boolean {
  return kind === MAC_KIND.PRIMARY || (kind === MAC_KIND.LEGACY && own === 0);
}

function mayAdd({ options }: PfHardware, mac: number): boolean {
  if (options.trusted) return true;
  if (!isGroupMac(mac)) return !options.adminMac;
  return !LLDP_MACS.has(mac);
}

/** What is not there is passed over; the host's choice of an address stays. */
export const deleteMacs: PfHandler = {
  run({ options, state, filters }, body) {
    const list = parseMacList(body);
    if (list.vsiId !== options.vsiId) return PARAM;
    for (const filter of list.filters) {
      const mac = macNumber(macFromString(filter.mac), 0);
      if (mac === 0 || mac === BROADCAST_MAC) continue;
      if (mac === state.usedMac && options.adminMac && !options.trusted) continue;
      filters.macs.delete(mac);
      // The PF remembers the address for the next reset.
      if (mac === state.usedMac) state.usedMac = 0;
    }
    return SUCCESS;
  },
};

/** An untrusted VF is told success, and nothing changes. A promiscuous one hears every VLAN. */
export const setPromiscuous: PfHandler = {
  run({ options, filters }, body) {
    const { vsiId, flags } = parsePromiscuous(body);
    if (vsiId !== options.vsiId) return PARAM;
    if (!options.trusted) return SUCCESS;
    filters.promiscuousUnicast = (flags & PROMISCUOUS.UNICAST) !== 0;
    filters.promiscuousMulticast = (flags & PROMISCUOUS.MULTICAST) !== 0;
    filters.pruneVlans = !filters.promiscuousUnicast && !filters.promiscuousMulticast;
    return SUCCESS;
  },
};
