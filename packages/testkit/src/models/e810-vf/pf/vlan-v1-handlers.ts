import { VIRTCHNL_STATUS, expectLength, parseVlanList } from "@vfmig/iavf";
import { TAG_TYPE, vlanKey } from "../../intel-vf/filters.ts";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";
import { MAX_VLANS } from "./vlan-handlers.ts";

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

/** VLAN 0, which the PF adds by itself, counts for the limit. Beyond it nothing is done, with success. */
function isFull({ options, filters }: PfHardware): boolean {
  return !options.trusted && filters.vlans.size + 1 >= MAX_VLANS;
}

/** The first VLAN that is not 0 turns filtering on, both ways where the host checks for spoofing. */
export const addVlansV1: PfHandler = {
  run(hardware, body) {
    const { options, filters } = hardware;
    const { vsiId, ids } = parseVlanList(body);
    if (vsiId !== options.vsiId) return PARAM;
    for (const id of ids) {
      if (isFull(hardware)) return SUCCESS;
      if (id === 0) continue;
      filters.vlans.add(vlanKey(TAG_TYPE.C_VLAN, id));
      filters.pruneVlans = true;
      filters.checkTxVlans = options.spoofCheck;
    }
    return SUCCESS;
  },
};

/** The last one turns it off again. A VLAN that is not there is an error, those before it are gone. */
export const deleteVlansV1: PfHandler = {
  run({ options, filters }, body) {
    const { vsiId, ids } = parseVlanList(body);
    if (vsiId !== options.vsiId) return PARAM;
    const known = filters.vlans.size + 1;
    for (const id of ids.slice(0, known)) {
      if (id === 0) continue;
      if (!filters.vlans.delete(vlanKey(TAG_TYPE.C_VLAN, id))) return PARAM;
      if (filters.vlans.size > 0) continue;
      filters.pruneVlans = false;
      filters.checkTxVlans = false;
    }
    return SUCCESS;
  },
};

/** ENABLE_ and DISABLE_VLAN_STRIPPING. */
export function setStrippingV1(on: boolean): PfHandler {
  return {
    run({ filters }, body) {
      expectLength("VLAN stripping", body, 0);
      filters.stripVlan = on;
      return SUCCESS;
    },
  };
}
