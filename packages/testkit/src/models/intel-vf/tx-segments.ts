import { TX_COMMAND } from "@vfmig/iavf";
import { applyL4, get16, ipv4Checksum, put16, type TxOffload } from "./tx-offload.ts";

/** TCP flags, byte 13 of the header. */
const TCP_FLAG = { FIN: 0x01, PSH: 0x08, CWR: 0x80 } as const;

/** Smallest segment size that the hardware takes, in bytes. */
const MIN_MSS = 64;

/** True where the hardware can cut a packet of `length` bytes as its descriptors ask. */
export function segmentable(
  offload: TxOffload,
  length: number,
  mss: number,
  announced: number,
  maxFrame: number,
): boolean {
  const ip = offload.ipType;
  return (
    (ip === TX_COMMAND.IIPT_IPV4_CSUM || ip === TX_COMMAND.IIPT_IPV6) &&
    offload.l4Type === TX_COMMAND.L4T_TCP &&
    offload.payload - offload.l4 >= 20 &&
    offload.payload < length &&
    announced === length - offload.payload &&
    mss >= MIN_MSS &&
    offload.payload + mss <= maxFrame
  );
}

/**
 * Cuts one packet into frames (TCP segmentation offload). `segment` is overwritten for each of them;
 * `emit` gets its length.
 */
export function cutSegments(
  packet: Uint8Array,
  length: number,
  mss: number,
  offload: TxOffload,
  segment: Uint8Array,
  emit: (length: number) => void,
): void {
  const header = offload.payload;
  for (let at = header, number = 0; at < length; at += mss, number++) {
    const size = Math.min(mss, length - at);
    segment.set(packet.subarray(0, header));
    segment.set(packet.subarray(at, at + size), header);
    const end = header + size;
    if (offload.outerType !== 0) fixOuter(segment, end, offload, number);
    fixIp(segment, end, offload, number);
    fixTcp(segment, offload, at - header, number === 0, at + size === length);
    applyL4(segment, end, offload, end - offload.l4);
    emit(end);
  }
}

function fixIp(
  segment: Uint8Array,
  end: number,
  { l3, l4, ipType }: TxOffload,
  number: number,
): void {
  if (ipType === TX_COMMAND.IIPT_IPV6) {
    put16(segment, l3 + 4, end - l3 - 40);
    return;
  }
  put16(segment, l3 + 2, end - l3);
  put16(segment, l3 + 4, (get16(segment, l3 + 4) + number) & 0xffff);
  ipv4Checksum(segment, l3, l4);
}

function fixOuter(segment: Uint8Array, end: number, offload: TxOffload, number: number): void {
  const { outerL3, outerL4, outerType } = offload;
  if (outerType === 1) {
    put16(segment, outerL3 + 4, end - outerL3 - 40);
  } else {
    put16(segment, outerL3 + 2, end - outerL3);
    const step = offload.outerSameId ? 0 : number;
    put16(segment, outerL3 + 4, (get16(segment, outerL3 + 4) + step) & 0xffff);
    if (outerType === 3) ipv4Checksum(segment, outerL3, outerL4);
  }
  if (offload.outerUdp) put16(segment, outerL4 + 4, end - outerL4);
}

/** Sequence number on by `offset`; FIN and PSH only in the last segment, CWR only in the first. */
function fixTcp(
  segment: Uint8Array,
  { l4 }: TxOffload,
  offset: number,
  first: boolean,
  last: boolean,
): void {
  const sequence = (get16(segment, l4 + 4) * 0x1_0000 + get16(segment, l4 + 6) + offset) >>> 0;
  put16(segment, l4 + 4, sequence >>> 16);
  put16(segment, l4 + 6, sequence & 0xffff);
  let flags = segment[l4 + 13]!;
  if (!last) flags &= ~(TCP_FLAG.FIN | TCP_FLAG.PSH);
  if (!first) flags &= ~TCP_FLAG.CWR;
  segment[l4 + 13] = flags;
}
