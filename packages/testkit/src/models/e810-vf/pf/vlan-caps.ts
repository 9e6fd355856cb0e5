import { VLAN_SUPPORT, type VlanCaps } from "@vfmig/iavf";
import type { VfModelOptions } from "../../intel-vf/options.ts";

/** VLANs of a VF that the host does not trust, and of one that it does. */
export const MAX_VLANS = 8;
const MAX_VLANS_TRUSTED = 4096;

const INNER = VLAN_SUPPORT.ETHERTYPE_8100 | VLAN_SUPPORT.TOGGLE | VLAN_SUPPORT.LOCATION_L2TAG1;

const ANY_TYPE =
  VLAN_SUPPORT.ETHERTYPE_8100 | VLAN_SUPPORT.ETHERTYPE_88A8 | VLAN_SUPPORT.ETHERTYPE_9100;

const OUTER = ANY_TYPE | VLAN_SUPPORT.ETHERTYPE_XOR | VLAN_SUPPORT.TOGGLE;

/** Stripping and insertion use the same ethertype. */
const MATCH_REQUIRED = 0;

/** What ice offers of VLAN V2, in single or in double VLAN mode. */
export function vlanCaps({ trusted, doubleVlan }: VfModelOptions): VlanCaps {
  const maxFilters = trusted ? MAX_VLANS_TRUSTED : MAX_VLANS;
  const common = {
    maxFilters,
    offloadInit: VLAN_SUPPORT.ETHERTYPE_8100,
    ethertypeMatch: MATCH_REQUIRED,
  };
  if (doubleVlan !== true) {
    return {
      ...common,
      filtering: { outer: 0, inner: VLAN_SUPPORT.ETHERTYPE_8100 },
      filteringInit: VLAN_SUPPORT.ETHERTYPE_8100,
      stripping: { outer: 0, inner: INNER >>> 0 },
      insertion: { outer: 0, inner: INNER >>> 0 },
    };
  }
  return {
    ...common,
    filtering: { outer: (ANY_TYPE | VLAN_SUPPORT.ETHERTYPE_AND) >>> 0, inner: 0 },
    filteringInit: ANY_TYPE,
    stripping: { outer: (OUTER | VLAN_SUPPORT.LOCATION_L2TAG2_2) >>> 0, inner: INNER >>> 0 },
    insertion: { outer: (OUTER | VLAN_SUPPORT.LOCATION_L2TAG2) >>> 0, inner: INNER >>> 0 },
  };
}
