import { BAR0_SIZE_E810, VF_CAP } from "@vfmig/iavf";
import type { VfFamily } from "@vfmig/iavf/vf";

/** Virtual functions of E810. */
export const E810_FAMILY: VfFamily = {
  driver: { name: "e810-vf", version: "0.1.0" },
  title: "E810 VF",
  device: 0x1889,
  bar0Size: BAR0_SIZE_E810,
  neverGranted: VF_CAP.RSS_AQ | VF_CAP.RSS_REG | VF_CAP.ADQ | VF_CAP.ADQ_V2,
  // 0 is what a guest says that was not granted formats.
  rxFormats: [0, 1, 2],
  // DBUFF of the Rx context: 7 bits in units of 128 bytes.
  maxRxBuffer: 127 * 128,
  halvesApart: true,
  rxTailMask: 0x1fff,
  arqBaseField: 0x3f,
  vlansStrip: false,
  grantedInstead: [[VF_CAP.VLAN_V2, VF_CAP.VLAN]],
  // VLAN 0, which the PF adds by itself, counts.
  untrusted: { macs: 17, vlans: 7 },
};
