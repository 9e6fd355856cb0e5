import { BAR0_SIZE_700, VF_CAP } from "@vfmig/iavf";
import type { VfFamily } from "@vfmig/iavf/vf";

/**
 * Capabilities that are carried to another host. All others are taken out of what the guest asks its
 * PF, so that it never gets them: flow director, ADQ, RDMA, quality of service and their like.
 * USO is never granted by i40e, but its absence makes the PF take the guest for an old driver.
 */
const CARRIED: number =
  (VF_CAP.L2 |
    VF_CAP.RSS_REG |
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

/** Virtual functions of X710, XL710, XXV710 and X722. */
export const I40E_FAMILY: VfFamily = {
  driver: { name: "i40e-vf", version: "0.1.0" },
  title: "700-series VF",
  device: 0x154c,
  bar0Size: BAR0_SIZE_700,
  carriedCaps: CARRIED,
  // Both stand for the legacy descriptor of 32 bytes: the field is 0 where nobody asks for a format.
  rxFormats: [0, 1],
  // DBUFF of the Rx context: 7 bits in units of 128 bytes.
  maxRxBuffer: 127 * 128,
  halvesApart: false,
};
