import { VfmigError } from "@vfmig/core";

/** Bytes of an Ethernet header without tags. */
export const ETHERNET_HEADER = 14;
/** The longest frame at MTU 1500, without check sequence. */
export const MAX_FRAME = 1514;
/** The shortest frame that a NIC puts on the wire, without check sequence. */
export const MIN_FRAME = 60;

export const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  RARP: 0x8035,
  VLAN: 0x8100,
  IPV6: 0x86dd,
} as const;

/** `02:00:00:00:00:0a`. Reads six bytes of `bytes` from `offset`. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  let text = "";
  for (let i = 0; i < 6; i++) {
    text += (i === 0 ? "" : ":") + (bytes[offset + i] ?? 0).toString(16).padStart(2, "0");
  }
  return text;
}

/**
 * The six bytes of a MAC address.
 * @throws VfmigError `ERR_VFMIG_MAC_ADDRESS`
 */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new VfmigError(
      "ERR_VFMIG_MAC_ADDRESS",
      `"${text}" is not a MAC address; write six hex bytes with colons, such as 02:00:00:00:00:0a`,
      { layer: "testkit", details: { text } },
    );
  }
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** True where `frame` comes from `mac`. Allocates nothing. */
export function isFrom(frame: Uint8Array, mac: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (frame[6 + i] !== mac[i]) return false;
  return true;
}
