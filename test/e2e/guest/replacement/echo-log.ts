/** What is noted: ICMP over IPv4, without tags and options. Offsets in a frame, in bytes. */
const TYPE_IPV4 = 0x0800;
const PLAIN_HEADER = 0x45;
const PROTOCOL_ICMP = 1;
const AT = { TYPE: 12, IP: 14, PROTOCOL: 23, ICMP: 34, IDENTIFIER: 38, SEQUENCE: 40 } as const;
const ICMP = { REPLY: 0, REQUEST: 8 } as const;

/** Echo requests and replies that passed a place, by sequence number, with the time of each. */
export class EchoLog {
  readonly requests = new Map<number, number>();
  readonly replies = new Map<number, number>();
  readonly #now: () => number;
  #identifier = -1;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Forgets all, and notes those of the next series only. */
  clear(): void {
    this.#identifier = -1;
    this.requests.clear();
    this.replies.clear();
  }

  note(frame: Uint8Array): void {
    if (frame.length < AT.SEQUENCE + 2) return;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (view.getUint16(AT.TYPE) !== TYPE_IPV4 || frame[AT.IP] !== PLAIN_HEADER) return;
    if (frame[AT.PROTOCOL] !== PROTOCOL_ICMP) return;
    const identifier = view.getUint16(AT.IDENTIFIER);
    const sequence = view.getUint16(AT.SEQUENCE);
    if (frame[AT.ICMP] === ICMP.REQUEST) {
      if (this.#identifier < 0) this.#identifier = identifier;
      if (identifier === this.#identifier) this.requests.set(sequence, this.#now());
    } else if (frame[AT.ICMP] === ICMP.REPLY && identifier === this.#identifier) {
      this.replies.set(sequence, this.#now());
    }
  }
}
