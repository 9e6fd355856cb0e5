/**
 * Tx descriptors, 16 bytes, the same on the 700 series and E810. The second quadword is handled as
 * two 32-bit halves ("low" and "high"), since hot loops cannot afford 64-bit integers.
 */
export const TX_DESCRIPTOR_SIZE = 16;

/** Low half of quadword 1, bits 3:0. */
export const TX_DTYPE = { DATA: 0, CONTEXT: 1, FILTER: 8, DONE: 0xf, MASK: 0xf } as const;

/** Command bits of a data descriptor, in place (bits 15:4 of the low half). */
export const TX_COMMAND = {
  EOP: 0x0010,
  RS: 0x0020,
  ICRC: 0x0040,
  IL2TAG1: 0x0080,
  DUMMY: 0x0100,
  IIPT_MASK: 0x0600,
  IIPT_IPV6: 0x0200,
  IIPT_IPV4: 0x0400,
  IIPT_IPV4_CSUM: 0x0600,
  L4T_MASK: 0x3000,
  L4T_TCP: 0x1000,
  L4T_SCTP: 0x2000,
  L4T_UDP: 0x3000,
  RE: 0x4000,
} as const;

/** Command bits of a context descriptor, in place. */
export const TX_CONTEXT_COMMAND = {
  TSO: 0x010,
  TSYN: 0x020,
  IL2TAG2: 0x040,
  SWITCH_MASK: 0x300,
} as const;

/** Most bytes of one data descriptor. */
export const TX_MAX_BUFFER = 16_383;

/** Buffer address (quadword 0); exact below 2^53. */
export function txAddress(data: DataView, offset: number): number {
  return data.getUint32(offset + 4, true) * 0x1_0000_0000 + data.getUint32(offset, true);
}

/** Low half of quadword 1: type, command, header lengths. */
export function txLow(data: DataView, offset: number): number {
  return data.getUint32(offset + 8, true);
}

/** High half of quadword 1: buffer size, tag. */
export function txHigh(data: DataView, offset: number): number {
  return data.getUint32(offset + 12, true);
}

/** Bytes of a data descriptor's buffer, from its high half (bits 47:34 of quadword 1). */
export function txBufferSize(high: number): number {
  return (high >>> 2) & 0x3fff;
}

/** VLAN tag, from the high half. */
export function txTag(high: number): number {
  return high >>> 16;
}

/** MAC, IP and L4 header lengths in bytes. */
export function txHeaderLengths(
  low: number,
  high: number,
): { readonly mac: number; readonly ip: number; readonly l4: number } {
  return {
    mac: ((low >>> 16) & 0x7f) * 2,
    ip: ((low >>> 23) & 0x7f) * 4,
    l4: ((((high & 0x3) << 2) | (low >>> 30)) & 0xf) * 4,
  };
}

/** TSO total length and MSS of a context descriptor (bits 47:30 and 63:50 of quadword 1). */
export function txContextTso(
  low: number,
  high: number,
): { readonly length: number; readonly mss: number } {
  return { length: ((high & 0xffff) << 2) | (low >>> 30), mss: high >>> 18 };
}

/** Writes a data descriptor; `command` is made of {@link TX_COMMAND}. */
export function writeTxData(
  data: DataView,
  offset: number,
  address: number,
  size: number,
  command: number,
  tag = 0,
): void {
  data.setUint32(offset, address >>> 0, true);
  data.setUint32(offset + 4, Math.floor(address / 0x1_0000_0000) >>> 0, true);
  data.setUint32(offset + 8, (TX_DTYPE.DATA | command) >>> 0, true);
  data.setUint32(offset + 12, (((size & 0x3fff) << 2) | (tag << 16)) >>> 0, true);
}

/** True once the device has written the descriptor back. */
export function txDone(data: DataView, offset: number): boolean {
  return (data.getUint32(offset + 8, true) & TX_DTYPE.MASK) === TX_DTYPE.DONE;
}

/** The device's write-back: quadword 1 becomes the done type alone. */
export function writeTxDone(data: DataView, offset: number): void {
  data.setUint32(offset + 12, 0, true);
  data.setUint32(offset + 8, TX_DTYPE.DONE, true);
}
