import type { GuestRam } from "./guest-ram.ts";

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
