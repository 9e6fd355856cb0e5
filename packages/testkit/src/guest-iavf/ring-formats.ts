import {
  RX_DESCRIPTOR_SIZE,
  RX_FLEX_STATUS,
  RX_STATUS,
  readRxFlexBack,
  rxFlexLength,
  rxLength,
  rxSecondTag,
  rxTail,
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  TX_DTYPE,
  txTail,
  VF_CAP,
  type VfResources,
  VLAN_SUPPORT,
  type VlanCaps,
  writeTxData,
} from "@vfmig/iavf";
import type { RxFormat, TxFormat } from "../guest/ring-formats.ts";

export const iavfRxFormat: RxFormat = {
  size: RX_DESCRIPTOR_SIZE,
  errors: RX_STATUS.RXE,
  length: rxLength,
  tag: strippedTag,
  tail: rxTail,
};

/** RXDID 2, where the PF grants a choice. */
export const iavfFlexRxFormat: RxFormat = {
  size: RX_DESCRIPTOR_SIZE,
  errors: RX_FLEX_STATUS.RXE,
  lengthAt: 4,
  length: rxFlexLength,
  tag(data, offset, status) {
    const { tag, tag2 } = readRxFlexBack(data, offset);
    return (status & RX_FLEX_STATUS.L2TAG1P) === 0 ? tag2 : tag;
  },
  tail: rxTail,
};

export const iavfTxFormat: TxFormat = {
  size: TX_DESCRIPTOR_SIZE,
  write(data, offset, { address, length, last, tag }) {
    const end = last ? TX_COMMAND.EOP | TX_COMMAND.RS : 0;
    const tagged = tag < 0 ? 0 : TX_COMMAND.IL2TAG1;
    writeTxData(data, offset, address, length, TX_COMMAND.ICRC | tagged | end, Math.max(tag, 0));
  },
  state(ram, iova) {
    const type = ram.load32(iova + 8) & TX_DTYPE.MASK;
    if (type === TX_DTYPE.DATA) return "posted";
    return type === TX_DTYPE.DONE ? "done" : "damaged";
  },
  tail: txTail,
};

/** True where the device puts a tag from the descriptor's L2TAG1 into the frame. */
export function insertsTags({ caps }: VfResources, vlan: VlanCaps | undefined): boolean {
  if (vlan === undefined) return (caps & VF_CAP.VLAN) !== 0;
  const { insertion, offloadInit } = vlan;
  const place = (insertion.outer & offloadInit) === 0 ? insertion.inner : insertion.outer;
  return (place & VLAN_SUPPORT.LOCATION_L2TAG1) !== 0 && (place & offloadInit) !== 0;
}

/** The tag that a device stripped into a legacy write-back at `offset`, or -1. */
function strippedTag(data: DataView, offset: number, status: number): number {
  if ((status & RX_STATUS.L2TAG1P) !== 0) return data.getUint16(offset + 2, true);
  return rxSecondTag(data, offset);
}
