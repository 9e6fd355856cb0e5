import { announce, type OpenFile } from "./open-file.ts";
import { STREAM_LIMITS } from "./fake-stream.ts";

// What a real socket allows, the fake does too (`unix_dgram_sendmsg`, `net/unix/af_unix.c`).

/** Datagrams that wait at a receiver: one more than the default of `net.unix.max_dgram_qlen`. */
const WAITING = 11;

/** Longest datagram: the send buffer less 32 bytes. */
export const LONGEST_DATAGRAM: number = STREAM_LIMITS.room - 32;

interface Datagram {
  readonly bytes: Uint8Array;
  readonly sender: FakeDatagramSocket;
}

/** A unix datagram socket. */
export class FakeDatagramSocket implements OpenFile {
  readonly kind: OpenFile["kind"] = "socket";
  readonly size = 0n;
  readonly shrinkSealed = false;
  readonly changed: Set<() => void> = new Set();
  readonly #onClosed: () => void;
  #incoming: Datagram[] = [];
  /** Bytes under way from here, as the kernel charges them. */
  #used = 0;
  #open = true;
  peer: FakeDatagramSocket | undefined;

  constructor(onClosed: () => void) {
    this.#onClosed = onClosed;
  }

  get open(): boolean {
    return this.#open;
  }

  readable(): boolean {
    return this.#incoming.length > 0;
  }

  writable(): boolean {
    return this.#used < STREAM_LIMITS.room && this.peer?.full !== true;
  }

  closed(): void {
    this.#open = false;
    for (const { bytes, sender } of this.#incoming.splice(0)) sender.#release(bytes);
    this.#onClosed();
  }

  get full(): boolean {
    return this.#incoming.length >= WAITING;
  }

  /** True unless this socket is connected to somebody else. */
  takesFrom(sender: FakeDatagramSocket): boolean {
    return this.peer === undefined || this.peer === sender;
  }

  /** False where the receiver's queue or this socket's send buffer is full. */
  send(to: FakeDatagramSocket, from: Uint8Array): boolean {
    if (this.#used >= STREAM_LIMITS.room || (to.full && to !== this)) return false;
    const bytes = from.slice();
    this.#used += bytes.length + STREAM_LIMITS.overhead;
    to.#incoming.push({ bytes, sender: this });
    announce(to);
    return true;
  }

  /** The next datagram's whole length, or -1. */
  receive(into: Uint8Array): number {
    const next = this.#incoming.shift();
    if (next === undefined) return -1;
    next.sender.#release(next.bytes);
    into.set(next.bytes.subarray(0, into.length));
    return next.bytes.length;
  }

  #release(bytes: Uint8Array): void {
    this.#used -= bytes.length + STREAM_LIMITS.overhead;
  }
}
