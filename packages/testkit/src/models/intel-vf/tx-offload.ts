import { TX_COMMAND, txHeaderLengths } from "@vfmig/iavf";
import { internetChecksum } from "../net/checksum.ts";
import { sctpChecksum } from "../net/crc32c.ts";

/** Tunnel fields of a context descriptor's first word, 700 series. */
const TUNNEL = { NONE: 0, IPV6: 1, IPV4_CSUM: 3 } as const;

/** L4TUNT: the tunnel's transport is UDP. */
const TUNNEL_UDP = 1;

/** What a packet's descriptors ask of the hardware; one object is filled again and again. */
export interface TxOffload {
  /** Offset of the outer IP header where there is a tunnel, else of the only one. */
  outerL3: number;
  /** Offset of the tunnel's transport header. */
  outerL4: number;
  /** 0 none, 1 IPv6, 2 IPv4, 3 IPv4 with checksum. */
  outerType: number;
  /** The tunnel runs over UDP, whose length is kept right. */
  outerUdp: boolean;
  /** The outer IPv4 identification stays the same in all segments. */
  outerSameId: boolean;
  l3: number;
  l4: number;
  /** End of the L4 header: where payload begins. */
  payload: number;
  /** Bits of `TX_COMMAND`: IIPT and L4T. */
  ipType: number;
  l4Type: number;
}

export function createTxOffload(): TxOffload {
  return {
    outerL3: 0,
    outerL4: 0,
    outerType: 0,
    outerUdp: false,
    outerSameId: false,
    l3: 0,
    l4: 0,
    payload: 0,
    ipType: 0,
    l4Type: 0,
  };
}

/** Reads the fields of the first data descriptor (`low`, `high`) and of the context word `tunnel`. */
export function readTxOffload(low: number, high: number, tunnel: number, into: TxOffload): void {
  const { mac, ip, l4 } = txHeaderLengths(low, high);
  into.outerType = tunnel & 0x3;
  into.outerL3 = mac;
  into.outerL4 = mac + ((tunnel >>> 2) & 0x7f) * 4;
  into.outerUdp = ((tunnel >>> 9) & 0x3) === TUNNEL_UDP;
  into.outerSameId = ((tunnel >>> 11) & 1) === 1;
  into.l3 = into.outerType === TUNNEL.NONE ? mac : into.outerL4 + ((tunnel >>> 12) & 0x7f) * 2;
  into.l4 = into.l3 + ip;
  into.payload = into.l4 + l4;
  into.ipType = low & TX_COMMAND.IIPT_MASK;
  into.l4Type = low & TX_COMMAND.L4T_MASK;
}

/** True where the header lengths lie inside a packet of `length` bytes and are long enough. */
export function offloadFits(offload: TxOffload, length: number): boolean {
  const { ipType, l4Type } = offload;
  if (offload.outerType !== TUNNEL.NONE && offload.outerL4 - offload.outerL3 < 20) return false;
  if (ipType === 0) return l4Type === 0 && offload.outerType === TUNNEL.NONE;
  if (offload.l4 - offload.l3 < (ipType === TX_COMMAND.IIPT_IPV6 ? 40 : 20)) return false;
  return (l4Type === 0 ? offload.l4 : offload.l4 + l4Minimum(l4Type)) <= length;
}

/** Fills in the checksums that the descriptors ask for. The L4 field holds the pseudo header's sum. */
export function applyChecksums(frame: Uint8Array, length: number, offload: TxOffload): void {
  if (offload.outerType === TUNNEL.IPV4_CSUM) {
    ipv4Checksum(frame, offload.outerL3, offload.outerL4);
  }
  if (offload.ipType === TX_COMMAND.IIPT_IPV4_CSUM) ipv4Checksum(frame, offload.l3, offload.l4);
  applyL4(frame, length, offload, 0);
}

/** The L4 checksum of `frame`; `extra` is added to the sum (the length, where the field lacks it). */
export function applyL4(
  frame: Uint8Array,
  length: number,
  { l4, l4Type }: TxOffload,
  extra: number,
): void {
  if (l4Type === 0) return;
  if (l4Type === TX_COMMAND.L4T_SCTP) {
    const crc = sctpChecksum(frame, l4, length);
    for (let index = 0; index < 4; index++) frame[l4 + 8 + index] = crc >>> (8 * index);
    return;
  }
  const udp = l4Type === TX_COMMAND.L4T_UDP;
  const sum = internetChecksum(frame, l4, length, extra);
  // A UDP checksum of zero means "none", so zero is sent as its other form.
  put16(frame, l4 + (udp ? 6 : 16), udp && sum === 0 ? 0xffff : sum);
}

export function ipv4Checksum(frame: Uint8Array, from: number, to: number): void {
  put16(frame, from + 10, 0);
  put16(frame, from + 10, internetChecksum(frame, from, to));
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}

export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function l4Minimum(l4Type: number): number {
  if (l4Type === TX_COMMAND.L4T_TCP) return 20;
  return l4Type === TX_COMMAND.L4T_SCTP ? 12 : 8;
}
