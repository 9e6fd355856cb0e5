import { formatMac, parseMac } from "../traffic/ethernet.ts";
import { MESSAGE } from "./registers.ts";

/** Hashes of one SET_MULTICAST at most. */
const MULTICAST_MAX = 30;

export function macRequest(mac: string): number[] {
  const bytes = new DataView(new ArrayBuffer(8));
  for (const [at, byte] of parseMac(mac).entries()) bytes.setUint8(at, byte);
  return [MESSAGE.SET_MAC, bytes.getUint32(0, true), bytes.getUint32(4, true)];
}

/** The address in an answer to RESET; undefined where the PF has none for this VF. */
export function macOf([head = 0, low = 0, high = 0]: readonly number[]): string | undefined {
  if ((head & MESSAGE.ACK) === 0) return undefined;
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setUint32(0, low, true);
  bytes.setUint32(4, high, true);
  return formatMac(new Uint8Array(bytes.buffer));
}

export function multicastRequest(macs: readonly string[]): number[] {
  const hashes = macs.slice(0, MULTICAST_MAX).map(hashOf);
  const dwords = [(MESSAGE.SET_MULTICAST | (hashes.length << MESSAGE.INFO_SHIFT)) >>> 0];
  for (let at = 0; at < hashes.length; at += 2) {
    dwords.push(((hashes[at] ?? 0) | ((hashes[at + 1] ?? 0) << 16)) >>> 0);
  }
  return dwords;
}

export function vlanRequest(id: number): number[] {
  return [MESSAGE.SET_VLAN | (1 << MESSAGE.INFO_SHIFT), id];
}

/** @param mtu - bytes; header and check sequence are added, as igbvf does */
export function maxFrameRequest(mtu: number): number[] {
  return [MESSAGE.SET_LPE, mtu + 14 + 4];
}

/** 12 bits of the address' last two bytes. */
function hashOf(mac: string): number {
  const bytes = parseMac(mac);
  return (((bytes[4] ?? 0) >>> 4) | ((bytes[5] ?? 0) << 4)) & 0xfff;
}
