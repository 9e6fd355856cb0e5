import { expectCount, expectLength, viewOf } from "./body.ts";

/** Bits that say what a VF may do with one tag; all zero is "unsupported". */
export const VLAN_SUPPORT = {
  ETHERTYPE_8100: 0x1,
  ETHERTYPE_88A8: 0x2,
  ETHERTYPE_9100: 0x4,
  LOCATION_L2TAG1: 0x100,
  LOCATION_L2TAG2: 0x200,
  LOCATION_L2TAG2_2: 0x400,
  PRIO: 0x100_0000,
  FILTER_MASK: 0x1000_0000,
  ETHERTYPE_AND: 0x2000_0000,
  ETHERTYPE_XOR: 0x4000_0000,
  TOGGLE: 0x8000_0000,
} as const;

const ETHERTYPES: readonly (readonly [number, number])[] = [
  [VLAN_SUPPORT.ETHERTYPE_8100, 0x8100],
  [VLAN_SUPPORT.ETHERTYPE_88A8, 0x88a8],
  [VLAN_SUPPORT.ETHERTYPE_9100, 0x9100],
];

/** The ethertype that is meant by exactly one bit of {@link VLAN_SUPPORT}, or 0. */
export function vlanEthertype(setting: number): number {
  return ETHERTYPES.find(([bit]) => bit === setting)?.[1] ?? 0;
}

/** The bit of {@link VLAN_SUPPORT} for an ethertype, or 0. */
export function vlanEthertypeBit(ethertype: number): number {
  return ETHERTYPES.find(([, type]) => type === ethertype)?.[0] ?? 0;
}

/** Support for the outer and the inner tag, bits of {@link VLAN_SUPPORT}. */
export interface VlanSupport {
  readonly outer: number;
  readonly inner: number;
}

/** Reply of GET_OFFLOAD_VLAN_V2_CAPS (51): 40 bytes. */
export interface VlanCaps {
  readonly filtering: VlanSupport;
  /** Ethertypes that are filtered from the start. */
  readonly filteringInit: number;
  readonly maxFilters: number;
  readonly stripping: VlanSupport;
  readonly insertion: VlanSupport;
  /** Ethertypes that are stripped and inserted from the start. */
  readonly offloadInit: number;
  /** 0: stripping and insertion use the same ethertype; 1: they need not. */
  readonly ethertypeMatch: number;
}

const CAPS_LENGTH = 40;

export function buildVlanCaps(caps: VlanCaps): Uint8Array {
  const body = new Uint8Array(CAPS_LENGTH);
  const data = viewOf(body);
  const support = (at: number, { outer, inner }: VlanSupport): void => {
    data.setUint32(at, outer >>> 0, true);
    data.setUint32(at + 4, inner >>> 0, true);
  };
  support(0, caps.filtering);
  data.setUint32(8, caps.filteringInit >>> 0, true);
  data.setUint16(12, caps.maxFilters, true);
  support(16, caps.stripping);
  support(24, caps.insertion);
  data.setUint32(32, caps.offloadInit >>> 0, true);
  data.setUint8(36, caps.ethertypeMatch);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseVlanCaps(body: Uint8Array): VlanCaps {
  const data = expectLength("GET_OFFLOAD_VLAN_V2_CAPS reply", body, CAPS_LENGTH);
  const support = (at: number): VlanSupport => ({
    outer: data.getUint32(at, true),
    inner: data.getUint32(at + 4, true),
  });
  return {
    filtering: support(0),
    filteringInit: data.getUint32(8, true),
    maxFilters: data.getUint16(12, true),
    stripping: support(16),
    insertion: support(24),
    offloadInit: data.getUint32(32, true),
    ethertypeMatch: data.getUint8(36),
  };
}

/** One tag of a filter; all zero where the filter does not ask for it. */
export interface VlanTag {
  readonly tci: number;
  readonly tciMask: number;
  /** Ethertype. */
  readonly tpid: number;
}

export interface VlanV2Filter {
  readonly inner: VlanTag;
  readonly outer: VlanTag;
}

export interface VlanV2List {
  /** The VSI id. */
  readonly vport: number;
  readonly filters: readonly VlanV2Filter[];
}

/** A tag that a filter does not ask for. */
export const NO_VLAN_TAG: VlanTag = { tci: 0, tciMask: 0, tpid: 0 };

const LIST_HEADER = 8;
const FILTER_SIZE = 32;
const OUTER_TAG = 8;

/** Most filters that fit one mailbox buffer. */
export const VLAN_V2_LIST_MAX = 127;

/** Length by element: 8 + 32 per filter. */
export function vlanV2ListLength(count: number): number {
  return LIST_HEADER + FILTER_SIZE * count;
}

/** ADD_VLAN_V2 (52) and DEL_VLAN_V2 (53). */
export function buildVlanV2List(list: VlanV2List): Uint8Array {
  const body = new Uint8Array(vlanV2ListLength(list.filters.length));
  const data = viewOf(body);
  data.setUint16(0, list.vport, true);
  data.setUint16(2, list.filters.length, true);
  const tag = (at: number, { tci, tciMask, tpid }: VlanTag): void => {
    data.setUint16(at, tci, true);
    data.setUint16(at + 2, tciMask, true);
    data.setUint16(at + 4, tpid, true);
  };
  for (const [index, filter] of list.filters.entries()) {
    const at = LIST_HEADER + FILTER_SIZE * index;
    tag(at, filter.inner);
    tag(at + OUTER_TAG, filter.outer);
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseVlanV2List(body: Uint8Array): VlanV2List {
  const count = expectCount("VLAN V2 list", body, 2, VLAN_V2_LIST_MAX, vlanV2ListLength);
  const data = viewOf(body);
  const tag = (at: number): VlanTag => ({
    tci: data.getUint16(at, true),
    tciMask: data.getUint16(at + 2, true),
    tpid: data.getUint16(at + 4, true),
  });
  return {
    vport: data.getUint16(0, true),
    filters: Array.from({ length: count }, (_, index) => {
      const at = LIST_HEADER + FILTER_SIZE * index;
      return { inner: tag(at), outer: tag(at + OUTER_TAG) };
    }),
  };
}

/** ENABLE_ and DISABLE_ of VLAN_STRIPPING_V2 (54, 55) and VLAN_INSERTION_V2 (56, 57): 16 bytes. */
export interface VlanSetting {
  /** Ethertype bits of {@link VLAN_SUPPORT}; 0 leaves that tag alone. */
  readonly outer: number;
  readonly inner: number;
  /** The VSI id. */
  readonly vport: number;
}

const SETTING_LENGTH = 16;

export function buildVlanSetting(setting: VlanSetting): Uint8Array {
  const body = new Uint8Array(SETTING_LENGTH);
  const data = viewOf(body);
  data.setUint32(0, setting.outer >>> 0, true);
  data.setUint32(4, setting.inner >>> 0, true);
  data.setUint16(8, setting.vport, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseVlanSetting(body: Uint8Array): VlanSetting {
  const data = expectLength("VLAN V2 setting", body, SETTING_LENGTH);
  return {
    outer: data.getUint32(0, true),
    inner: data.getUint32(4, true),
    vport: data.getUint16(8, true),
  };
}
