import { macFromString } from "@vfmig/iavf";
import { internetChecksum, pseudoSumIpv4, pseudoSumIpv6 } from "../../net/checksum.ts";
import { IP_PROTOCOL } from "../../net/classify.ts";
import { sctpChecksum } from "../../net/crc32c.ts";

/** What a test knows to be there. */
export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the test expected a value here");
  return value;
}

/** Turns `bits` of the byte at `at`. */
export function flip(bytes: Uint8Array, at: number, bits = 1): void {
  bytes[at] = must(bytes[at]) ^ bits;
}

/** An Ethernet frame without FCS. */
export function ethernet(to: string, from: string, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + payload.length);
  frame.set(macFromString(to));
  frame.set(macFromString(from), 6);
  new DataView(frame.buffer).setUint16(12, type);
  frame.set(payload, 14);
  return frame;
}

/** The same with an 802.1Q tag. */
export function tagged(frame: Uint8Array, tci: number): Uint8Array {
  const out = new Uint8Array(frame.length + 4);
  out.set(frame.subarray(0, 12));
  new DataView(out.buffer).setUint32(12, (0x8100 * 0x10000 + tci) >>> 0);
  out.set(frame.subarray(12), 16);
  return out;
}

/** An IPv4 packet with a right header checksum. */
export function ipv4(protocol: number, payload: Uint8Array, id = 0x1234): Uint8Array {
  const packet = new Uint8Array(20 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  view.setUint16(4, id);
  packet[8] = 64;
  packet[9] = protocol;
  packet.set([192, 0, 2, 10, 192, 0, 2, 11], 12);
  view.setUint16(10, internetChecksum(packet, 0, 20));
  packet.set(payload, 20);
  return packet;
}

export function ipv6(protocol: number, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(40 + payload.length);
  packet[0] = 0x60;
  new DataView(packet.buffer).setUint16(4, payload.length);
  packet[6] = protocol;
  packet[7] = 64;
  packet.set([0x20, 1, 0xd, 0xb8], 8);
  packet[23] = 10;
  packet.set([0x20, 1, 0xd, 0xb8], 24);
  packet[39] = 11;
  packet.set(payload, 40);
  return packet;
}

/** A transport header of the given kind before `payload`, its checksum zero. */
export function transport(protocol: number, payload: Uint8Array, from = 4000): Uint8Array {
  const size = protocol === IP_PROTOCOL.TCP ? 20 : protocol === IP_PROTOCOL.SCTP ? 12 : 8;
  const packet = new Uint8Array(size + payload.length);
  const view = new DataView(packet.buffer);
  view.setUint16(0, from);
  view.setUint16(2, 80);
  if (protocol === IP_PROTOCOL.UDP) view.setUint16(4, packet.length);
  if (protocol === IP_PROTOCOL.TCP) {
    view.setUint32(4, 0x1122_3344);
    packet[12] = 0x50;
    packet[13] = 0x18;
  }
  packet.set(payload, size);
  return packet;
}

const CHECKSUM_AT: Readonly<Record<number, number>> = {
  [IP_PROTOCOL.TCP]: 16,
  [IP_PROTOCOL.UDP]: 6,
};

/** Fills in the L4 checksum of `packet`, whose IP header ends at `l4`. */
export function withL4Checksum(packet: Uint8Array, l4: number, protocol: number): Uint8Array {
  const out = packet.slice();
  const view = new DataView(out.buffer);
  if (protocol === IP_PROTOCOL.SCTP) {
    view.setUint32(l4 + 8, sctpChecksum(out, l4, out.length), true);
    return out;
  }
  const length = out.length - l4;
  const pseudo =
    must(out[0]) >> 4 === 4
      ? pseudoSumIpv4(out, 0, protocol, length)
      : pseudoSumIpv6(out, 0, protocol, length);
  const at = l4 + must(CHECKSUM_AT[protocol]);
  view.setUint16(at, 0);
  view.setUint16(at, internetChecksum(out, l4, out.length, pseudo) || 0xffff);
  return out;
}
