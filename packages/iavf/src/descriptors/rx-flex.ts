import { RX_STATUS, type RxWriteBack } from "./rx.ts";

/** Formats of a receive write-back: RXDID, as CONFIG_VSI_QUEUES and GET_SUPPORTED_RXDIDS number them. */
export const RXDID = { LEGACY_16: 0, LEGACY_32: 1, FLEX_NIC: 2 } as const;

/** Status and error bits of the flexible NIC write-back (RXDID 2), in place in the low half of quadword 1. */
export const RX_FLEX_STATUS = {
  DD: 0x1,
  EOF: 0x2,
  HBO: 0x4,
  L3L4P: 0x8,
  IPE: 0x10,
  L4E: 0x20,
  EIPE: 0x40,
  EUDPE: 0x80,
  LPBK: 0x100,
  IPV6EXADD: 0x200,
  RXE: 0x400,
  CRCP: 0x800,
  RSS_VALID: 0x1000,
  L2TAG1P: 0x2000,
} as const;

/** L2TAG2P, in the low half of quadword 2; of a legacy write-back it is bit 0 there. */
export const RX_FLEX_L2TAG2P = 0x800;
export const RX_LEGACY_L2TAG2P = 0x1;

/** Byte offset of the second L2TAG2 (bits 63:48 of quadword 2), in both formats. */
const SECOND_TAG = 22;

/** A write-back of RXDID 2. */
export interface RxFlexWriteBack {
  /** Bits of {@link RX_FLEX_STATUS}; DD is added. */
  readonly status: number;
  /** Bytes in the buffer, 14 bits. */
  readonly length: number;
  /** 10 bits; 0 in all descriptors of a frame but the last. */
  readonly packetType: number;
  readonly hash: number;
  readonly tag: number;
  /** The second L2TAG2, or -1. */
  readonly tag2: number;
}

/** Writes a flexible NIC write-back; the word with DD goes last. */
export function writeRxFlexBack(data: DataView, offset: number, value: RxFlexWriteBack): void {
  const { length, packetType, hash, tag, tag2 } = value;
  data.setUint32(offset, (RXDID.FLEX_NIC | ((packetType & 0x3ff) << 16)) >>> 0, true);
  data.setUint32(offset + 4, length & 0x3fff, true);
  data.setUint32(offset + 12, hash >>> 0, true);
  data.setUint32(offset + 16, tag2 === -1 ? 0 : RX_FLEX_L2TAG2P, true);
  data.setUint32(offset + 20, tag2 === -1 ? 0 : (tag2 << 16) >>> 0, true);
  data.setUint32(offset + 24, 0, true);
  data.setUint32(offset + 28, 0, true);
  data.setUint32(offset + 8, (value.status | RX_FLEX_STATUS.DD | (tag << 16)) >>> 0, true);
}

/** Bytes in the buffer (bits 45:32 of quadword 0), from the high half. */
export function rxFlexLength(high: number): number {
  return high & 0x3fff;
}

/** Reads a flexible NIC write-back. */
export function readRxFlexBack(data: DataView, offset: number): RxFlexWriteBack {
  const low = data.getUint32(offset, true);
  const status = data.getUint32(offset + 8, true);
  return {
    status: status & 0xffff,
    length: rxFlexLength(data.getUint32(offset + 4, true)),
    packetType: (low >>> 16) & 0x3ff,
    hash: data.getUint32(offset + 12, true),
    tag: status >>> 16,
    tag2:
      (data.getUint32(offset + 16, true) & RX_FLEX_L2TAG2P) === 0
        ? -1
        : data.getUint16(offset + SECOND_TAG, true),
  };
}

/** The second L2TAG2 of a legacy write-back, or -1. */
export function rxSecondTag(data: DataView, offset: number): number {
  const present = data.getUint32(offset + 16, true) & RX_LEGACY_L2TAG2P;
  return present === 0 ? -1 : data.getUint16(offset + SECOND_TAG, true);
}

/** A legacy write-back with a second L2TAG2; the word with DD goes last. */
export function writeRxBackTag2(
  data: DataView,
  offset: number,
  value: RxWriteBack,
  tag2: number,
): void {
  data.setUint32(offset, (value.tag << 16) >>> 0, true);
  data.setUint32(offset + 4, value.hash >>> 0, true);
  data.setUint32(offset + 16, RX_LEGACY_L2TAG2P, true);
  data.setUint32(offset + 20, (tag2 << 16) >>> 0, true);
  data.setUint32(offset + 24, 0, true);
  data.setUint32(offset + 28, 0, true);
  const { length, packetType, status } = value;
  const high = ((length & 0x3fff) << 6) | ((packetType >>> 2) & 0x3f);
  data.setUint32(offset + 12, high >>> 0, true);
  const low = status | RX_STATUS.DD | ((packetType & 0x3) << 30);
  data.setUint32(offset + 8, low >>> 0, true);
}

/** Status bits that a legacy write-back has, as RXDID 2 says them. What that one cannot say is left out. */
export function flexStatus(legacy: number): number {
  let status = 0;
  for (const [from, to] of LEGACY_TO_FLEX) if ((legacy & from) !== 0) status |= to;
  const hashed = (legacy & RX_STATUS.FLTSTAT_MASK) === RX_STATUS.FLTSTAT_RSS;
  return hashed ? status | RX_FLEX_STATUS.RSS_VALID : status;
}

const LEGACY_IPV6EXADD = 0x8000;

const LEGACY_TO_FLEX: readonly (readonly [number, number])[] = [
  [RX_STATUS.DD, RX_FLEX_STATUS.DD],
  [RX_STATUS.EOP, RX_FLEX_STATUS.EOF],
  [RX_STATUS.L2TAG1P, RX_FLEX_STATUS.L2TAG1P],
  [RX_STATUS.L3L4P, RX_FLEX_STATUS.L3L4P],
  [RX_STATUS.CRCP, RX_FLEX_STATUS.CRCP],
  [RX_STATUS.LPBK, RX_FLEX_STATUS.LPBK],
  [LEGACY_IPV6EXADD, RX_FLEX_STATUS.IPV6EXADD],
  [RX_STATUS.RXE, RX_FLEX_STATUS.RXE],
  [RX_STATUS.HBO, RX_FLEX_STATUS.HBO],
  [RX_STATUS.IPE, RX_FLEX_STATUS.IPE],
  [RX_STATUS.L4E, RX_FLEX_STATUS.L4E],
  [RX_STATUS.EIPE, RX_FLEX_STATUS.EIPE],
];
