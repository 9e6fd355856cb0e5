import { RX_PTYPE, RX_STATUS } from "@vfmig/iavf";
import { foldSum, internetChecksum, pseudoSumIpv4, pseudoSumIpv6, sumWords } from "./checksum.ts";
import { IP_PROTOCOL, type FrameClass } from "./classify.ts";
import { sctpChecksum } from "./crc32c.ts";

/** Bit 15 of the write-back's status: IPv6 with an extension that may replace the address. */
const IPV6EXADD = 0x8000;
/** Bit 18: a UDP packet without a checksum. */
const INT_UDP_0 = 0x4_0000;

/** Status and error bits (L3L4P, IPE, L4E, ...) that the checksums of `frame` give. */
export function checksumStatus(frame: Uint8Array, found: FrameClass): number {
  if (found.ipVersion === 0) return 0;
  let status: number = RX_STATUS.L3L4P;
  if (found.ipv6Extension) status |= IPV6EXADD;
  if (found.ipVersion === 4 && internetChecksum(frame, found.l3, found.l4) !== 0) {
    status |= RX_STATUS.IPE;
  }
  return status | l4Status(frame, found);
}

function l4Status(frame: Uint8Array, found: FrameClass): number {
  const type =
    found.ipVersion === 6 ? found.packetType - (RX_PTYPE.IPV6 - RX_PTYPE.IPV4) : found.packetType;
  switch (type) {
    case RX_PTYPE.IPV4_TCP:
      return transportSum(frame, found, IP_PROTOCOL.TCP) === 0xffff ? 0 : RX_STATUS.L4E;
    case RX_PTYPE.IPV4_UDP:
      if ((frame[found.l4 + 6]! | frame[found.l4 + 7]!) === 0) return INT_UDP_0;
      return transportSum(frame, found, IP_PROTOCOL.UDP) === 0xffff ? 0 : RX_STATUS.L4E;
    case RX_PTYPE.IPV4_SCTP:
      return sctpMatches(frame, found) ? 0 : RX_STATUS.L4E;
    default:
      return 0;
  }
}

function transportSum(frame: Uint8Array, found: FrameClass, protocol: number): number {
  const pseudo =
    found.ipVersion === 4
      ? pseudoSumIpv4(frame, found.l3, protocol, found.l4Length)
      : pseudoSumIpv6(frame, found.l3, protocol, found.l4Length);
  return foldSum(sumWords(frame, found.l4, found.l4 + found.l4Length, pseudo));
}

function sctpMatches(frame: Uint8Array, found: FrameClass): boolean {
  const at = found.l4 + 8;
  const carried =
    (frame[at]! | (frame[at + 1]! << 8) | (frame[at + 2]! << 16) | (frame[at + 3]! << 24)) >>> 0;
  return carried === sctpChecksum(frame, found.l4, found.l4 + found.l4Length);
}
