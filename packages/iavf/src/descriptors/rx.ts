/** Rx descriptors of 32 bytes: the legacy write-back (RXDID 0 and 1). */
export const RX_DESCRIPTOR_SIZE = 32;

/** Status and error bits, in place in the low half of quadword 1. */
export const RX_STATUS = {
  DD: 0x1,
  EOP: 0x2,
  L2TAG1P: 0x4,
  L3L4P: 0x8,
  CRCP: 0x10,
  FLM: 0x800,
  FLTSTAT_MASK: 0x3000,
  /** FLTSTAT 3: the RSS hash is valid. */
  FLTSTAT_RSS: 0x3000,
  LPBK: 0x4000,
  RXE: 0x8_0000,
  RECIPE: 0x10_0000,
  HBO: 0x20_0000,
  IPE: 0x40_0000,
  L4E: 0x80_0000,
  EIPE: 0x100_0000,
  OVERSIZE: 0x200_0000,
  PPRS: 0x400_0000,
} as const;

/** Packet types of the legacy write-back that a plain NIC needs. */
export const RX_PTYPE = {
  L2: 1,
  ARP: 11,
  IPV4_FRAG: 22,
  IPV4: 23,
  IPV4_UDP: 24,
  IPV4_TCP: 26,
  IPV4_SCTP: 27,
  IPV4_ICMP: 28,
  IPV6_FRAG: 88,
  IPV6: 89,
  IPV6_UDP: 90,
  IPV6_TCP: 92,
  IPV6_SCTP: 93,
  IPV6_ICMP: 94,
} as const;

/** Packet buffer address (quadword 0 as posted); exact below 2^53. */
export function rxAddress(data: DataView, offset: number): number {
  return data.getUint32(offset + 4, true) * 0x1_0000_0000 + data.getUint32(offset, true);
}

/** Posts a buffer: quadword 0 its address, quadword 1 cleared. */
export function writeRxPosted(data: DataView, offset: number, address: number): void {
  data.setUint32(offset + 8, 0, true);
  data.setUint32(offset + 12, 0, true);
  data.setUint32(offset, address >>> 0, true);
  data.setUint32(offset + 4, Math.floor(address / 0x1_0000_0000) >>> 0, true);
}

/** Low half of quadword 1: status, errors, lowest bits of the packet type. */
export function rxStatus(data: DataView, offset: number): number {
  return data.getUint32(offset + 8, true);
}

/** Bytes in the packet buffer (bits 51:38 of quadword 1), from the high half. */
export function rxLength(high: number): number {
  return (high >>> 6) & 0x3fff;
}

/** Packet type (bits 37:30 of quadword 1). */
export function rxPacketType(low: number, high: number): number {
  return ((high & 0x3f) << 2) | (low >>> 30);
}

/** The legacy write-back of one buffer. */
export interface RxWriteBack {
  /** Bits of {@link RX_STATUS}; DD is added. */
  readonly status: number;
  readonly length: number;
  readonly packetType: number;
  readonly hash: number;
  readonly tag: number;
}

/** Writes a legacy write-back; the word with DD goes last. */
export function writeRxBack(data: DataView, offset: number, value: RxWriteBack): void {
  data.setUint32(offset, (value.tag << 16) >>> 0, true);
  data.setUint32(offset + 4, value.hash >>> 0, true);
  data.setUint32(offset + 16, 0, true);
  data.setUint32(offset + 20, 0, true);
  data.setUint32(offset + 24, 0, true);
  data.setUint32(offset + 28, 0, true);
  data.setUint32(
    offset + 12,
    (((value.length & 0x3fff) << 6) | ((value.packetType >>> 2) & 0x3f)) >>> 0,
    true,
  );
  data.setUint32(
    offset + 8,
    (value.status | RX_STATUS.DD | ((value.packetType & 0x3) << 30)) >>> 0,
    true,
  );
}
