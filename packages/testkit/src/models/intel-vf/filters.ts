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

/** Ethertypes of tags. */
export const TAG_TYPE = { C_VLAN: 0x8100, S_VLAN: 0x88a8, QINQ: 0x9100 } as const;

/** True for group addresses, broadcast included. */
export function isGroupMac(mac: number): boolean {
  return (Math.floor(mac / 0x100_0000_0000) & 1) === 1;
}

/** A VLAN as one number: ethertype of its tag and id. */
export function vlanKey(type: number, id: number): number {
  return (type << 12) | id;
}

/** What the VSI takes from the switch, what it takes out of frames, and what it lets out. */
export class ReceiveFilters {
  readonly macs: Set<number> = new Set();
  /** VLANs asked for, as {@link vlanKey}. */
  readonly vlans: Set<number> = new Set();
  /** Only {@link ReceiveFilters.vlans} and untagged frames pass; otherwise any tag and none. */
  pruneVlans = false;
  /** Tagged frames of other VLANs may not be sent. */
  checkTxVlans = false;
  promiscuousUnicast = false;
  promiscuousMulticast = false;
  /** The tag goes to L2TAG1: the only one, or the second where the first went to L2TAG2. */
  stripVlan = false;
  /** Ethertype of an outer tag that goes to L2TAG2, or 0. */
  stripOuterType = 0;
  /** Ethertype of a tag that a Tx context descriptor inserts, or 0 where it inserts none. */
  insertOuterType = 0;

  /** `mac`: the frame's destination. `type`, `tci`: the first tag's, or -1. */
  accepts(mac: number, type: number, tci: number): boolean {
    return this.#acceptsMac(mac) && (!this.pruneVlans || this.#knowsVlan(type, tci));
  }

  /** A frame with that first tag may be sent. */
  sends(type: number, tci: number): boolean {
    return !this.checkTxVlans || this.#knowsVlan(type, tci);
  }

  clear(): void {
    this.macs.clear();
    this.vlans.clear();
    this.pruneVlans = false;
    this.checkTxVlans = false;
    this.promiscuousUnicast = false;
    this.promiscuousMulticast = false;
    this.stripVlan = false;
    this.stripOuterType = 0;
    this.insertOuterType = 0;
  }

  #acceptsMac(mac: number): boolean {
    if (this.macs.has(mac)) return true;
    if (mac === BROADCAST_MAC) return false;
    return isGroupMac(mac) ? this.promiscuousMulticast : this.promiscuousUnicast;
  }

  #knowsVlan(type: number, tci: number): boolean {
    // Id 0 only marks a priority: such a frame counts as untagged.
    const id = tci === -1 ? 0 : tci & 0xfff;
    return id === 0 || this.vlans.has(vlanKey(type, id));
  }
}
