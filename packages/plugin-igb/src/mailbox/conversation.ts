import {
  buildMac,
  buildMaxFrame,
  buildMulticast,
  buildPromiscuous,
  buildVlan,
  infoOf,
  isAck,
  MAC_INFO,
  macOf,
  multicastOf,
  OPCODE,
  opcodeOf,
} from "./messages.ts";

/** What guest and PF have agreed on, as plain JSON. */
export interface ConversationState {
  /** The guest has reset the VF by message and may ask for more. */
  readonly cleared: boolean;
  /** Address that the PF gave with its answer to VF_RESET; null where it had none to give. */
  readonly assigned: string | null;
  /** Address that frames for the guest carry; null where there is none. */
  readonly mac: string | null;
  /** Further unicast addresses. */
  readonly filters: readonly string[];
  /** 12-bit hashes of group addresses. */
  readonly multicast: readonly number[];
  readonly vlans: readonly number[];
  /** Longest frame in bytes; null where the guest has not said. */
  readonly maxFrame: number | null;
  /** Info of the last SET_PROMISC; null where there was none. */
  readonly promiscuous: number | null;
  /** Operations that the PF granted and nobody here can repeat. */
  readonly uncarried: readonly number[];
}

/** Keeps what the PF granted, so that another PF can be asked for the same. */
export class Conversation {
  cleared = false;
  assigned: string | undefined;
  mac: string | undefined;
  readonly filters: Set<string> = new Set();
  multicast: readonly number[] = [];
  readonly vlans: Set<number> = new Set();
  maxFrame: number | undefined;
  promiscuous: number | undefined;
  readonly uncarried: Set<number> = new Set();

  /** The PF's answer to VF_RESET: it has forgotten all filters, and says the VF's address. */
  wasReset(reply: readonly number[]): void {
    this.forget();
    this.cleared = true;
    this.assigned = assignedBy(reply);
    this.mac = this.assigned;
  }

  /** The PF answered another request. */
  answered(request: readonly number[], reply: readonly number[]): void {
    if (!isAck(reply[0] ?? 0)) return;
    const head = request[0] ?? 0;
    switch (opcodeOf(head)) {
      case OPCODE.SET_MAC_ADDR:
        this.#setMac(infoOf(head), macOf(request[1] ?? 0, request[2] ?? 0));
        break;
      case OPCODE.SET_MULTICAST:
        this.multicast = multicastOf(request);
        break;
      case OPCODE.SET_VLAN: {
        const id = (request[1] ?? 0) & 0xfff;
        if (infoOf(head) === 0) this.vlans.delete(id);
        else this.vlans.add(id);
        break;
      }
      case OPCODE.SET_LPE:
        this.maxFrame = request[1] ?? 0;
        break;
      case OPCODE.SET_PROMISC:
        this.promiscuous = infoOf(head);
        break;
      default:
        this.uncarried.add(opcodeOf(head));
    }
  }

  #setMac(info: number, mac: string): void {
    if (info === MAC_INFO.SET) this.mac = mac;
    else if (info === MAC_INFO.CLEAR) this.filters.clear();
    else if (info === MAC_INFO.ADD) this.filters.add(mac);
    else this.uncarried.add(OPCODE.SET_MAC_ADDR);
  }

  /** The VF was reset: the PF has forgotten everything but the frame length. */
  forget(): void {
    this.cleared = false;
    this.assigned = undefined;
    this.mac = undefined;
    this.filters.clear();
    this.multicast = [];
    this.vlans.clear();
    this.promiscuous = undefined;
    this.uncarried.clear();
  }

  /** Requests that make a VF, fresh from its reset, what this one is; the address comes first. */
  requests(): number[][] {
    return [
      ...(this.mac === undefined ? [] : [buildMac(this.mac)]),
      ...Array.from(this.filters, (mac) => buildMac(mac, MAC_INFO.ADD)),
      ...Array.from(this.vlans, (id) => buildVlan(id, true)),
      ...(this.multicast.length === 0 ? [] : [buildMulticast(this.multicast)]),
      ...(this.promiscuous === undefined ? [] : [buildPromiscuous(this.promiscuous)]),
      ...(this.maxFrame === undefined ? [] : [buildMaxFrame(this.maxFrame)]),
    ];
  }

  save(): ConversationState {
    return {
      cleared: this.cleared,
      assigned: this.assigned ?? null,
      mac: this.mac ?? null,
      filters: [...this.filters],
      multicast: [...this.multicast],
      vlans: [...this.vlans],
      maxFrame: this.maxFrame ?? null,
      promiscuous: this.promiscuous ?? null,
      uncarried: [...this.uncarried],
    };
  }

  load(state: ConversationState): void {
    this.forget();
    this.cleared = state.cleared;
    this.assigned = state.assigned ?? undefined;
    this.mac = state.mac ?? undefined;
    for (const mac of state.filters) this.filters.add(mac);
    this.multicast = [...state.multicast];
    for (const id of state.vlans) this.vlans.add(id);
    this.maxFrame = state.maxFrame ?? undefined;
    this.promiscuous = state.promiscuous ?? undefined;
  }
}

/** The address in an answer to VF_RESET; undefined where the PF has none for this VF. */
export function assignedBy(reply: readonly number[]): string | undefined {
  return isAck(reply[0] ?? 0) ? macOf(reply[1] ?? 0, reply[2] ?? 0) : undefined;
}
