import {
  RX_DESCRIPTOR_SIZE,
  RX_FLEX_STATUS,
  RX_STATUS,
  readRxFlexBack,
  rxFlexLength,
  rxLength,
  rxTail,
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  TX_DTYPE,
  txTail,
  writeTxData,
} from "@vfmig/iavf";
import type { GuestRam } from "./guest-ram.ts";
import { strippedTag } from "./vlan-tags.ts";

/** Bits of an Rx write-back's status at byte 8, the same in all of Intel's formats. */
export const RX_DONE = 0x1;
export const RX_END = 0x2;

/** A family's receive descriptors: address at byte 0, and after the write-back a status at 8. */
export interface RxFormat {
  /** Bytes of a descriptor. */
  readonly size: number;
  /** Bits of the status that tell a bad frame. */
  readonly errors: number;
  /** Where the dword with the length stands, in bytes. Default 12. */
  readonly lengthAt?: number;
  /** Bytes in the buffer, by that dword. */
  length(dword: number): number;
  /** The VLAN tag that the device took out of the frame, or -1. */
  tag(data: DataView, offset: number, status: number): number;
  /** Register of a queue's tail. */
  tail(queue: number): number;
}

/** One buffer that a driver sends. */
export interface TxWords {
  readonly address: number;
  readonly length: number;
  /** Bytes of the whole packet. */
  readonly packet: number;
  /** The packet ends here, and the device shall report it. */
  readonly last: boolean;
  /** What the device inserts, or -1. */
  readonly tag: number;
}

/** A family's transmit descriptors. */
export interface TxFormat {
  /** Bytes of a descriptor. */
  readonly size: number;
  write(data: DataView, offset: number, words: TxWords): void;
  /** What a descriptor is now. */
  state(ram: GuestRam, iova: number): "posted" | "done" | "damaged";
  /** Register of a queue's tail. */
  tail(queue: number): number;
}

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
