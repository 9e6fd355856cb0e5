import { ETHERNET_HEADER, ETHERTYPE, formatMac } from "./ethernet.ts";

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "icmp",
  2: "igmp",
  6: "tcp",
  17: "udp",
  58: "icmp",
  132: "sctp",
};
/** Hop-by-hop, routing and destination options: headers that stand before the payload's own. */
const IPV6_OPTIONS: ReadonlySet<number> = new Set([0, 43, 60]);
const IPV6_FRAGMENT = 44;

/**
 * Names the flow of a frame, such as `tcp4 192.0.2.1:80 > 192.0.2.2:1234`. Frames of one flow keep
 * their order on any NIC: what a hash may send to another queue has another name, so fragments do.
 */
export function flowName(frame: Uint8Array): string {
  const type = u16(frame, 12);
  if (type === ETHERTYPE.IPV4) return ipv4(frame) ?? layer2(frame, type);
  if (type === ETHERTYPE.IPV6) return ipv6(frame) ?? layer2(frame, type);
  return layer2(frame, type);
}

function layer2(frame: Uint8Array, type: number): string {
  const known = Object.entries(ETHERTYPE)
    .find(([, value]) => value === type)?.[0]
    .toLowerCase();
  const name = known ?? `0x${type.toString(16).padStart(4, "0")}`;
  return `${name} ${formatMac(frame, 6)} > ${formatMac(frame, 0)}`;
}

function ipv4(frame: Uint8Array): string | undefined {
  if (frame.length < ETHERNET_HEADER + 20) return undefined;
  const headerBytes = (byte(frame, ETHERNET_HEADER) & 0xf) * 4;
  if (byte(frame, ETHERNET_HEADER) >> 4 !== 4 || headerBytes < 20) return undefined;
  // More-fragments flag or a fragment offset.
  const fragment = (u16(frame, ETHERNET_HEADER + 6) & 0x3fff) !== 0;
  const source = dotted(frame, ETHERNET_HEADER + 12);
  const target = dotted(frame, ETHERNET_HEADER + 16);
  const payload = ETHERNET_HEADER + headerBytes;
  return named(frame, byte(frame, ETHERNET_HEADER + 9), 4, fragment, source, target, payload);
}

function ipv6(frame: Uint8Array): string | undefined {
  if (frame.length < ETHERNET_HEADER + 40) return undefined;
  let next = byte(frame, ETHERNET_HEADER + 6);
  let payload = ETHERNET_HEADER + 40;
  let fragment = false;
  // Bounded by the frame: each header is at least 8 bytes long.
  while ((IPV6_OPTIONS.has(next) || next === IPV6_FRAGMENT) && payload + 8 <= frame.length) {
    const bytes = next === IPV6_FRAGMENT ? 8 : (byte(frame, payload + 1) + 1) * 8;
    fragment ||= next === IPV6_FRAGMENT;
    next = byte(frame, payload);
    payload += bytes;
  }
  const source = colons(frame, ETHERNET_HEADER + 8);
  const target = colons(frame, ETHERNET_HEADER + 24);
  return named(frame, next, 6, fragment, source, target, payload);
}

function named(
  frame: Uint8Array,
  protocol: number,
  version: 4 | 6,
  fragment: boolean,
  source: string,
  target: string,
  payload: number,
): string {
  const name = `${PROTOCOLS[protocol] ?? `ip${protocol}-`}${version}`;
  if (fragment) return `${name} fragments ${source} > ${target}`;
  const ports = protocol === 6 || protocol === 17 || protocol === 132;
  if (!ports || payload + 4 > frame.length) return `${name} ${source} > ${target}`;
  // A 700-series NIC hashes the first segment of a connection as a type of its own.
  const opening = protocol === 6 && (byte(frame, payload + 13) & 0x12) === 0x02 ? " SYN" : "";
  const at = (address: string, offset: number): string =>
    `${version === 6 ? `[${address}]` : address}:${u16(frame, payload + offset)}`;
  return `${name}${opening} ${at(source, 0)} > ${at(target, 2)}`;
}

function dotted(frame: Uint8Array, offset: number): string {
  return frame.subarray(offset, offset + 4).join(".");
}

/** RFC 5952: lower case, the longest run of two or more zero groups shortened. */
function colons(frame: Uint8Array, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => u16(frame, offset + 2 * i).toString(16));
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === "0") end++;
    if (end - i > longest) [start, longest] = [i, end - i];
  }
  if (start < 0) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + longest).join(":")}`;
}

function byte(frame: Uint8Array, offset: number): number {
  return frame[offset] ?? 0;
}

function u16(frame: Uint8Array, offset: number): number {
  return (byte(frame, offset) << 8) | byte(frame, offset + 1);
}
