import { bodyError } from "../errors.ts";
import { expectCount, expectLength, macFromString, macToString, viewOf } from "./body.ts";

/** Kinds of a MAC filter, in the byte after the address. */
export const MAC_KIND = { LEGACY: 0, PRIMARY: 1, EXTRA: 2 } as const;

export interface MacFilter {
  readonly mac: string;
  /** See {@link MAC_KIND}. */
  readonly kind: number;
}

export interface MacList {
  readonly vsiId: number;
  readonly filters: readonly MacFilter[];
}

const MAC_ELEMENT = 8;

/** Most addresses that fit one mailbox buffer. */
export const MAC_LIST_MAX = 510;

/** Legacy length: 12 + 8 per address, one address more than counted. */
export function macListLength(count: number): number {
  return 12 + MAC_ELEMENT * count;
}

/** ADD_ETH_ADDR (10) and DEL_ETH_ADDR (11). */
export function buildMacList(list: MacList): Uint8Array {
  const body = new Uint8Array(macListLength(list.filters.length));
  const data = viewOf(body);
  data.setUint16(0, list.vsiId, true);
  data.setUint16(2, list.filters.length, true);
  for (const [index, filter] of list.filters.entries()) {
    const at = 4 + MAC_ELEMENT * index;
    body.set(macFromString(filter.mac), at);
    body[at + 6] = filter.kind;
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseMacList(body: Uint8Array): MacList {
  const count = expectCount("MAC address list", body, 2, MAC_LIST_MAX, macListLength);
  return {
    vsiId: viewOf(body).getUint16(0, true),
    filters: Array.from({ length: count }, (_, index) => {
      const at = 4 + MAC_ELEMENT * index;
      return { mac: macToString(body.subarray(at, at + 6)), kind: body[at + 6] ?? 0 };
    }),
  };
}

export interface VlanList {
  readonly vsiId: number;
  readonly ids: readonly number[];
}

/** Most VLAN ids that fit one mailbox buffer. */
export const VLAN_LIST_MAX = 2045;

/** Legacy length: 6 + 2 per id, one id more than counted. */
export function vlanListLength(count: number): number {
  return 6 + 2 * count;
}

/** ADD_VLAN (12) and DEL_VLAN (13). */
export function buildVlanList(list: VlanList): Uint8Array {
  const body = new Uint8Array(vlanListLength(list.ids.length));
  const data = viewOf(body);
  data.setUint16(0, list.vsiId, true);
  data.setUint16(2, list.ids.length, true);
  for (const [index, id] of list.ids.entries()) {
    data.setUint16(4 + 2 * index, id, true);
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseVlanList(body: Uint8Array): VlanList {
  const count = expectCount("VLAN list", body, 2, VLAN_LIST_MAX, vlanListLength);
  const data = viewOf(body);
  const ids = Array.from({ length: count }, (_, index) => data.getUint16(4 + 2 * index, true));
  const wrong = ids.find((id) => id > 4095);
  if (wrong !== undefined) {
    throw bodyError("VLAN list", `the id ${wrong} is above 4095`, { id: wrong });
  }
  return { vsiId: data.getUint16(0, true), ids };
}

/** Flags of CONFIG_PROMISCUOUS_MODE. */
export const PROMISCUOUS = { UNICAST: 1, MULTICAST: 2 } as const;

export interface PromiscuousMode {
  readonly vsiId: number;
  /** See {@link PROMISCUOUS}. */
  readonly flags: number;
}

/** CONFIG_PROMISCUOUS_MODE (14): 4 bytes. */
export function buildPromiscuous(mode: PromiscuousMode): Uint8Array {
  const body = new Uint8Array(4);
  const data = viewOf(body);
  data.setUint16(0, mode.vsiId, true);
  data.setUint16(2, mode.flags, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parsePromiscuous(body: Uint8Array): PromiscuousMode {
  const data = expectLength("CONFIG_PROMISCUOUS_MODE", body, 4);
  return { vsiId: data.getUint16(0, true), flags: data.getUint16(2, true) };
}
