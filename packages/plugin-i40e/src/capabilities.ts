import { VF_CAP } from "@vfmig/iavf";

/**
 * Capabilities that this plugin can carry to another host. All others are taken out of what the guest
 * asks its PF, so that it never gets them: flow director, ADQ, RDMA, quality of service and their like.
 * USO is never granted by i40e, but its absence makes the PF take the guest for an old driver.
 */
export const CARRIED_CAPS: number =
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
