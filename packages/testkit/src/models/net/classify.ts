import { RX_PTYPE } from "@vfmig/iavf";

/** Packet types of plain ethertypes, legacy write-back (hardware list of the 700 series). */
const ETHERTYPE_PTYPE: ReadonlyMap<number, number> = new Map([
  [0x88f7, 2],
  [0x8914, 3],
  [0x88cc, 6],
  [0x8940, 7],
  [0x888e, 10],
  [0x0806, RX_PTYPE.ARP],
]);

/** Hash types (bits of HENA) of the 700 series. */
export const HASH_TYPE = {
  IPV4_UDP: 31,
  IPV4_TCP: 33,
  IPV4_SCTP: 34,
  IPV4_OTHER: 35,
  IPV4_FRAG: 36,
  IPV6_UDP: 41,
  IPV6_TCP: 43,
  IPV6_SCTP: 44,
  IPV6_OTHER: 45,
  IPV6_FRAG: 46,
  L2_PAYLOAD: 63,
} as const;

/** IP protocol numbers. */
export const IP_PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;

/** IPv6 extension headers: hop-by-hop, routing, fragment, authentication, destination options. */
const EXTENSION = { HOP: 0, ROUTING: 43, FRAGMENT: 44, AUTHENTICATION: 51, OPTIONS: 60 } as const;

/** Extension headers that the parser follows before it gives up. */
const MAX_EXTENSIONS = 8;

/** What the parser of a 700-series port finds in a frame. One object is filled again and again. */
export interface FrameClass {
  /** Bytes of Ethernet header, tags included. */
  l2Length: number;
  etherType: number;
  /** The outermost tag's ethertype and TCI, or -1. */
  tagType: number;
  tagTci: number;
  /** TCI of a second tag of ethertype 0x8100, or -1. */
  innerTci: number;
  /** 0x9100 counts as a tag. */
  readonly parsesTag9100: boolean;
  /** 4, 6, or 0. */
  ipVersion: number;
  /** Offset and length of the IP header (IPv6: with extension headers). */
  l3: number;
  l3Length: number;
  /** IP payload protocol, or -1. */
  protocol: number;
  l4: number;
  /** Bytes from the L4 header to the end of the IP packet. */
  l4Length: number;
  fragment: boolean;
  /** An IPv6 header whose addresses an extension may replace. */
  ipv6Extension: boolean;
  /** Packet type of the write-back. */
  packetType: number;
  /** Bit of HENA. */
  hashType: number;
}

/** What a frame is parsed into. `parsesTag9100`: for the parser of a port in double VLAN mode. */
export function createFrameClass(parsesTag9100: boolean = false): FrameClass {
  return {
    l2Length: 0,
    etherType: 0,
    tagType: -1,
    tagTci: -1,
    innerTci: -1,
    parsesTag9100,
    ipVersion: 0,
    l3: 0,
    l3Length: 0,
    protocol: -1,
    l4: 0,
    l4Length: 0,
    fragment: false,
    ipv6Extension: false,
    packetType: RX_PTYPE.L2,
    hashType: HASH_TYPE.L2_PAYLOAD,
  };
}

/** Parses the first `length` bytes of `frame` (at least 14) into `found`. */
export function classifyFrame(frame: Uint8Array, length: number, found: FrameClass): void {
  parseEthernet(frame, length, found);
  found.ipVersion = 0;
  found.protocol = -1;
  found.fragment = false;
  found.ipv6Extension = false;
  found.hashType = HASH_TYPE.L2_PAYLOAD;
  found.packetType = ETHERTYPE_PTYPE.get(found.etherType) ?? RX_PTYPE.L2;
  if (found.etherType === 0x0800) parseIpv4(frame, length, found);
  else if (found.etherType === 0x86dd) parseIpv6(frame, length, found);
}

function parseEthernet(frame: Uint8Array, length: number, found: FrameClass): void {
  let at = 12;
  let type = word(frame, at);
  found.tagType = -1;
  found.tagTci = -1;
  found.innerTci = -1;
  for (let tags = 0; tags < 2 && isTag(type, found); tags++) {
    if (at + 6 > length) break;
    if (tags === 0) {
      found.tagType = type;
      found.tagTci = word(frame, at + 2);
    } else if (type === 0x8100) {
      found.innerTci = word(frame, at + 2);
    }
    at += 4;
    type = word(frame, at);
  }
  found.l2Length = at + 2;
  found.etherType = type;
}

function isTag(type: number, { parsesTag9100 }: FrameClass): boolean {
  return type === 0x8100 || type === 0x88a8 || (parsesTag9100 && type === 0x9100);
}

function parseIpv4(frame: Uint8Array, length: number, found: FrameClass): void {
  const l3 = found.l2Length;
  if (l3 + 20 > length || frame[l3]! >> 4 !== 4) return;
  const header = (frame[l3]! & 0xf) * 4;
  const total = word(frame, l3 + 2);
  if (header < 20 || total < header || l3 + total > length) return;
  found.ipVersion = 4;
  found.l3 = l3;
  found.l3Length = header;
  found.protocol = frame[l3 + 9]!;
  found.l4 = l3 + header;
  found.l4Length = total - header;
  found.fragment = (word(frame, l3 + 6) & 0x3fff) !== 0;
  settle(found);
}

function parseIpv6(frame: Uint8Array, length: number, found: FrameClass): void {
  const l3 = found.l2Length;
  if (l3 + 40 > length || frame[l3]! >> 4 !== 6) return;
  const end = l3 + 40 + word(frame, l3 + 4);
  if (end > length) return;
  let next = frame[l3 + 6]!;
  let at = l3 + 40;
  for (let count = 0; count < MAX_EXTENSIONS && isExtension(next); count++) {
    if (at + 8 > end) return;
    const fragment = next === EXTENSION.FRAGMENT;
    // An atomic fragment (offset 0, no more) is a whole packet.
    if (fragment && (word(frame, at + 2) & 0xfff9) !== 0) found.fragment = true;
    if (next === EXTENSION.ROUTING || next === EXTENSION.OPTIONS) found.ipv6Extension = true;
    const size = fragment
      ? 8
      : next === EXTENSION.AUTHENTICATION
        ? (frame[at + 1]! + 2) * 4
        : (frame[at + 1]! + 1) * 8;
    next = frame[at]!;
    at += size;
    if (at > end) return;
  }
  found.ipVersion = 6;
  found.l3 = l3;
  found.l3Length = at - l3;
  found.protocol = next;
  found.l4 = at;
  found.l4Length = end - at;
  settle(found);
}

function isExtension(next: number): boolean {
  return (
    next === EXTENSION.HOP ||
    next === EXTENSION.ROUTING ||
    next === EXTENSION.FRAGMENT ||
    next === EXTENSION.AUTHENTICATION ||
    next === EXTENSION.OPTIONS
  );
}

/** Smallest header that makes a packet count as its protocol. */
function minimum(protocol: number): number {
  return protocol === IP_PROTOCOL.TCP ? 20 : protocol === IP_PROTOCOL.SCTP ? 12 : 8;
}

/** Packet and hash type; the IPv6 numbers repeat the IPv4 ones at a distance of 66 and 10. */
function settle(found: FrameClass): void {
  const six = found.ipVersion === 6;
  const plain = !found.fragment && found.l4Length >= minimum(found.protocol);
  let packet: number = RX_PTYPE.IPV4;
  let hash: number = HASH_TYPE.IPV4_OTHER;
  if (found.fragment) {
    packet = RX_PTYPE.IPV4_FRAG;
    hash = HASH_TYPE.IPV4_FRAG;
  } else if (plain && found.protocol === IP_PROTOCOL.TCP) {
    packet = RX_PTYPE.IPV4_TCP;
    hash = HASH_TYPE.IPV4_TCP;
  } else if (plain && found.protocol === IP_PROTOCOL.UDP) {
    packet = RX_PTYPE.IPV4_UDP;
    hash = HASH_TYPE.IPV4_UDP;
  } else if (plain && found.protocol === IP_PROTOCOL.SCTP) {
    packet = RX_PTYPE.IPV4_SCTP;
    hash = HASH_TYPE.IPV4_SCTP;
  } else if (found.protocol === (six ? IP_PROTOCOL.ICMPV6 : IP_PROTOCOL.ICMP)) {
    packet = RX_PTYPE.IPV4_ICMP;
  }
  found.packetType = six ? packet + (RX_PTYPE.IPV6 - RX_PTYPE.IPV4) : packet;
  found.hashType = six ? hash + (HASH_TYPE.IPV6_UDP - HASH_TYPE.IPV4_UDP) : hash;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
