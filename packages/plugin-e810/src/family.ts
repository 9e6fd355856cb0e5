import { BAR0_SIZE_E810, VF_CAP } from "@vfmig/iavf";
import type { VfFamily } from "@vfmig/iavf/vf";

/** Capabilities that are carried to another host. All others are taken out of what the guest asks its PF. */
const CARRIED: number =
  (VF_CAP.L2 |
    VF_CAP.RSS_PF |
    VF_CAP.RSS_PCTYPE_V2 |
    VF_CAP.WB_ON_ITR |
    VF_CAP.ADV_LINK_SPEED |
    VF_CAP.VLAN |
    VF_CAP.RX_POLLING |
    VF_CAP.ENCAP |
    VF_CAP.ENCAP_CSUM |
    VF_CAP.RX_ENCAP_CSUM |
    VF_CAP.USO) >>>
  0;

/** Virtual functions of E810. */
export const E810_FAMILY: VfFamily = {
  driver: { name: "e810-vf", version: "0.1.0" },
  title: "E810 VF",
  device: 0x1889,
  bar0Size: BAR0_SIZE_E810,
  carriedCaps: CARRIED,
  rxFormats: [0, 1],
  // DBUFF of the Rx context: 7 bits in units of 128 bytes.
  maxRxBuffer: 127 * 128,
  halvesApart: true,
};
