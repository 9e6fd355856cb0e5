import {
  buildReset,
  FLAG,
  infoOf,
  macOf,
  MAC_INFO,
  multicastOf,
  OPCODE,
  opcodeOf,
} from "../mailbox/messages.ts";

const NO_MAC = "00:00:00:00:00:00";

/** What the PF's driver keeps of one VF. */
export class PfVf {
  /** The administrator's settings (`ip link set PF vf N mac, trust`). */
  pinned: string | undefined;
  trusted = false;
  /** Operations that are refused, by opcode. */
  readonly refuses: Set<number> = new Set();
  /** Operations that other drivers know, and this PF too, by opcode. */
  readonly knows: Set<number> = new Set();
  mac = NO_MAC;
  cleared = false;
  /** Receive address register of this VF's pool: only messages change it. */
  filter: string | undefined;
  readonly extra: Set<string> = new Set();
  multicast: readonly number[] = [];
  readonly vlans: Set<number> = new Set();
  maxFrame: number | undefined;
  promiscuous: number | undefined;

  /** Linux `igb_vf_reset_event`: the VF has been reset, and says nothing yet. */
  resetEvent(): void {
    this.cleared = false;
    if (this.pinned === undefined) this.mac = NO_MAC;
    this.vlans.clear();
    this.multicast = [];
  }

  pin(mac: string | undefined): void {
    this.pinned = mac;
    this.mac = mac ?? NO_MAC;
    this.filter = mac;
  }

  /** Linux `igb_rcv_msg_from_vf`: the answer, or undefined for silence. */
  answer(message: readonly number[]): number[] | undefined {
    const head = message[0] ?? 0;
    if (head === buildReset()[0]) return this.#reset();
    if (!this.cleared) return undefined;
    const granted = !this.refuses.has(opcodeOf(head)) && this.#grant(message);
    return [(head | FLAG.CTS | (granted ? FLAG.ACK : FLAG.NACK)) >>> 0];
  }

  #reset(): number[] {
    this.cleared = true;
    this.vlans.clear();
    this.multicast = [];
    this.extra.clear();
    this.filter = this.mac === NO_MAC ? undefined : this.mac;
    const head = OPCODE.VF_RESET | (this.filter === undefined ? FLAG.NACK : FLAG.ACK);
    const bytes = this.mac.split(":").map((byte) => Number.parseInt(byte, 16));
    const word = (at: number): number => bytes[at] ?? 0;
    const low = word(0) | (word(1) << 8) | (word(2) << 16) | (word(3) << 24);
    return [head >>> 0, low >>> 0, word(4) | (word(5) << 8)];
  }

  #grant(message: readonly number[]): boolean {
    const head = message[0] ?? 0;
    switch (opcodeOf(head)) {
      case OPCODE.SET_MAC_ADDR:
        return this.#setMac(infoOf(head), macOf(message[1] ?? 0, message[2] ?? 0));
      case OPCODE.SET_MULTICAST:
        this.multicast = multicastOf(message);
        return true;
      case OPCODE.SET_VLAN:
        if (infoOf(head) === 0) this.vlans.delete(message[1] ?? 0);
        else this.vlans.add(message[1] ?? 0);
        return true;
      case OPCODE.SET_LPE:
        this.maxFrame = message[1];
        return true;
      case OPCODE.SET_PROMISC:
        this.promiscuous = infoOf(head);
        return true;
      default:
        return this.knows.has(opcodeOf(head));
    }
  }

  #setMac(info: number, mac: string): boolean {
    if (info === MAC_INFO.ADD) this.extra.add(mac);
    else if (info === MAC_INFO.CLEAR) this.extra.clear();
    else {
      if (this.pinned !== undefined && !this.trusted) return false;
      this.mac = mac;
      this.filter = mac;
    }
    return true;
  }
}
