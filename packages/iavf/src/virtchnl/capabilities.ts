/** Capability bits of GET_VF_RESOURCES, request and answer. Bit 31 makes the sum need `>>> 0`. */
export const VF_CAP = {
  L2: 0x1,
  RDMA: 0x2,
  RSS_AQ: 0x8,
  RSS_REG: 0x10,
  WB_ON_ITR: 0x20,
  REQ_QUEUES: 0x40,
  ADV_LINK_SPEED: 0x80,
  INLINE_IPSEC: 0x100,
  LARGE_NUM_QPAIRS: 0x200,
  CRC: 0x400,
  TC_U32: 0x800,
  QGRPS: 0x1000,
  VLAN_V2: 0x8000,
  VLAN: 0x0001_0000,
  RX_POLLING: 0x0002_0000,
  RSS_PCTYPE_V2: 0x0004_0000,
  RSS_PF: 0x0008_0000,
  ENCAP: 0x0010_0000,
  ENCAP_CSUM: 0x0020_0000,
  RX_ENCAP_CSUM: 0x0040_0000,
  ADQ: 0x0080_0000,
  ADQ_V2: 0x0100_0000,
  USO: 0x0200_0000,
  RX_FLEX_DESC: 0x0400_0000,
  ADV_RSS_PF: 0x0800_0000,
  FDIR_PF: 0x1000_0000,
  QOS: 0x2000_0000,
  DCF: 0x4000_0000,
  PTP: 0x8000_0000,
} as const;

export type VfCapability = keyof typeof VF_CAP;

/** Names of the bits that are set in `caps`; a bit without a name shows as `bit <n>`. */
export function capabilityNames(caps: number): string[] {
  const found: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    const value = 2 ** bit;
    if (((caps >>> bit) & 1) === 1) {
      const entry = Object.entries(VF_CAP).find(([, known]) => known === value);
      found.push(entry?.[0] ?? `bit ${bit}`);
    }
  }
  return found;
}

/** What Linux iavf 6.1 asks for. */
export const IAVF_6_1_CAPS: number =
  (VF_CAP.L2 |
    VF_CAP.RSS_PF |
    VF_CAP.RSS_AQ |
    VF_CAP.RSS_REG |
    VF_CAP.VLAN |
    VF_CAP.WB_ON_ITR |
    VF_CAP.RSS_PCTYPE_V2 |
    VF_CAP.ENCAP |
    VF_CAP.VLAN_V2 |
    VF_CAP.ENCAP_CSUM |
    VF_CAP.REQ_QUEUES |
    VF_CAP.ADQ |
    VF_CAP.USO |
    VF_CAP.FDIR_PF |
    VF_CAP.ADV_RSS_PF |
    VF_CAP.ADV_LINK_SPEED) >>>
  0;

/** What Linux iavf 7.2 asks for. */
export const IAVF_7_2_CAPS: number =
  (IAVF_6_1_CAPS | VF_CAP.TC_U32 | VF_CAP.RX_FLEX_DESC | VF_CAP.CRC | VF_CAP.PTP | VF_CAP.QOS) >>>
  0;
