import { type ReceiveFilters, TAG_TYPE } from "./filters.ts";
import { get16, put16 } from "./tx-offload.ts";
import type { TxPacket } from "./tx-packet.ts";

/**
 * Whether the first tag that the frame will have is one that the VSI may send.
 *
 * @param doubleVlan - the port's mode, in which a first tag of any type is a VLAN
 */
export function mayUseVlan(
  bytes: Uint8Array,
  { outerTag, tag }: TxPacket,
  filters: ReceiveFilters,
  doubleVlan: boolean,
): boolean {
  if (!filters.checkTxVlans) return true;
  if (outerTag !== -1 && filters.insertOuterType !== 0) {
    return filters.sends(filters.insertOuterType, outerTag);
  }
  if (tag !== -1) return filters.sends(TAG_TYPE.C_VLAN, tag);
  const type = get16(bytes, 12);
  return !isVlan(type, doubleVlan) || filters.sends(type, get16(bytes, 14));
}

/** Writes a tag at `at`; gives where what follows it stands. */
export function putTag(wire: Uint8Array, at: number, type: number, tci: number): number {
  put16(wire, at, type);
  put16(wire, at + 2, tci);
  return at + 4;
}

function isVlan(type: number, doubleVlan: boolean): boolean {
  if (type === TAG_TYPE.C_VLAN) return true;
  return doubleVlan && (type === TAG_TYPE.S_VLAN || type === TAG_TYPE.QINQ);
}
