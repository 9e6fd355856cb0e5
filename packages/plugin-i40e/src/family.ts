import { BAR0_SIZE_700, VF_CAP } from "@vfmig/iavf";
import type { VfFamily } from "@vfmig/iavf/vf";

/**
 * What i40e never grants, as of Linux 7.2. Linux iavf asks for most of it all the same, and its asking
 * for USO is how the PF knows a driver that can do without an address of its own.
 */
const NEVER_GRANTED: number =
  (VF_CAP.VLAN_V2 |
    VF_CAP.RX_FLEX_DESC |
    VF_CAP.USO |
    VF_CAP.FDIR_PF |
    VF_CAP.TC_U32 |
    VF_CAP.ADV_RSS_PF |
    VF_CAP.CRC |
    VF_CAP.QOS |
    VF_CAP.PTP) >>>
  0;

/** Virtual functions of X710, XL710, XXV710 and X722. */
export const I40E_FAMILY: VfFamily = {
  driver: { name: "i40e-vf", version: "0.1.0" },
  title: "700-series VF",
  device: 0x154c,
  bar0Size: BAR0_SIZE_700,
  neverGranted: NEVER_GRANTED,
  // Both stand for the legacy descriptor of 32 bytes: the field is 0 where nobody asks for a format.
  rxFormats: [0, 1],
  // DBUFF of the Rx context: 7 bits in units of 128 bytes.
  maxRxBuffer: 127 * 128,
  halvesApart: false,
  // Hardware keeps multiples of 8 descriptors.
  rxTailMask: 0x1ff8,
  arqBaseField: 0,
  vlansStrip: true,
  grantedInstead: [[VF_CAP.RSS_PF, VF_CAP.RSS_REG]],
  untrusted: { macs: 17, vlans: 16 },
};
