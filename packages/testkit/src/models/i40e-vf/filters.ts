/** A MAC address as one number, first byte most significant, read from `bytes` at `at`. */
export function macNumber(bytes: Uint8Array, at: number): number {
  const high = (bytes[at]! << 8) | bytes[at + 1]!;
  const low =
    ((bytes[at + 2]! << 24) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!) >>>
    0;
  return high * 0x1_0000_0000 + low;
}

/** ff:ff:ff:ff:ff:ff. */
export const BROADCAST_MAC = 0xffff_ffff_ffff;

/** True for group addresses, broadcast included. */
export function isGroupMac(mac: number): boolean {
  return (Math.floor(mac / 0x100_0000_0000) & 1) === 1;
}

/** What the VSI takes from the switch. */
export class ReceiveFilters {
  readonly macs: Set<number> = new Set();
  /** VLAN ids asked for. While there is none, any tag and no tag passes; then untagged and these. */
  readonly vlans: Set<number> = new Set();
  promiscuousUnicast = false;
  promiscuousMulticast = false;
  stripVlan = false;

  /** `mac`: the frame's destination. `vlanTci`: the outermost tag's, or -1. */
  accepts(mac: number, vlanTci: number): boolean {
    return this.#acceptsMac(mac) && this.#acceptsVlan(vlanTci);
  }

  clear(): void {
    this.macs.clear();
    this.vlans.clear();
    this.promiscuousUnicast = false;
    this.promiscuousMulticast = false;
    this.stripVlan = false;
  }

  #acceptsMac(mac: number): boolean {
    if (this.macs.has(mac)) return true;
    if (mac === BROADCAST_MAC) return false;
    return isGroupMac(mac) ? this.promiscuousMulticast : this.promiscuousUnicast;
  }

  #acceptsVlan(tci: number): boolean {
    if (this.vlans.size === 0) return true;
    const id = tci === -1 ? 0 : tci & 0xfff;
    // Id 0 only marks a priority: such a frame counts as untagged.
    return id === 0 || this.vlans.has(id);
  }
}
