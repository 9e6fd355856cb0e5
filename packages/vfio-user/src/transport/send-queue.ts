import type { Clock, Timer } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";

/** The part of a message that the socket had no room for. */
interface Waiting {
  readonly bytes: Uint8Array;
  sent: number;
  /** Our duplicates, closed once they are sent. */
  readonly fds: number[];
}

export interface SendQueueOptions {
  readonly io: NativeIo;
  readonly fd: number;
  readonly clock: Clock;
  /** Above this many waiting bytes the queue is congested. */
  readonly limitBytes: number;
  /** The socket failed: nothing more can be sent. */
  readonly onFailure: (error: unknown) => void;
  /** The queue is empty after it was congested. */
  readonly onDrained: () => void;
}

/** How long a sender stands still for a peer that is reading, in microseconds. */
const PATIENCE_US = 500;
/** Pauses between tries for a peer that does not read, in milliseconds. */
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 16;
const NO_FDS: readonly number[] = [];

/**
 * Sends whole messages, each in one call where the socket has room. A rest is kept and tried again
 * later; it never blocks the loop for longer than a moment.
 */
export class SendQueue {
  readonly #options: SendQueueOptions;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #congested = false;
  #timer: Timer | undefined;
  #retryMs = FIRST_RETRY_MS;
  #closed = false;

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  /** True from the limit on, until everything has gone. */
  get congested(): boolean {
    return this.#congested;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Sends or keeps `bytes[0, length)`. The fds stay the caller's. */
  send(bytes: Uint8Array, length: number, fds: readonly number[] = NO_FDS): void {
    if (this.#closed) return;
    let sent = 0;
    if (this.#waiting.length === 0) {
      sent = this.#try(bytes, 0, length, fds);
      if (sent === length || this.#closed) return;
    }
    this.#keep(bytes.slice(sent, length), sent > 0 ? NO_FDS : fds);
  }

  /** Tries to send what waits; true when nothing does any more. */
  flush(): boolean {
    while (!this.#closed) {
      const first = this.#waiting[0];
      if (first === undefined) break;
      const count = this.#call(first.bytes, first.sent, first.bytes.length, first.fds);
      if (count <= 0) return false;
      this.#retryMs = FIRST_RETRY_MS;
      this.#closeFds(first.fds);
      first.sent += count;
      this.#waitingBytes -= count;
      if (first.sent === first.bytes.length) this.#waiting.shift();
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#congested && !this.#closed) {
      this.#congested = false;
      this.#options.onDrained();
    }
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const waiting of this.#waiting.splice(0)) this.#closeFds(waiting.fds);
    this.#waitingBytes = 0;
  }

  /** Sends from `from` on, with a moment's patience each time that the peer makes room. */
  #try(bytes: Uint8Array, from: number, length: number, fds: readonly number[]): number {
    const { io, fd } = this.#options;
    let sent = from;
    for (;;) {
      const count = this.#call(bytes, sent, length, sent === 0 ? fds : NO_FDS);
      if (count > 0) sent += count;
      if (sent === length || this.#closed) return sent;
      if (!io.waitWritable(fd, PATIENCE_US)) return sent;
    }
  }

  #call(bytes: Uint8Array, from: number, length: number, fds: readonly number[]): number {
    try {
      return this.#options.io.send(this.#options.fd, bytes, from, length - from, fds);
    } catch (error) {
      this.close();
      this.#options.onFailure(error);
      return -1;
    }
  }

  #keep(bytes: Uint8Array, fds: readonly number[]): void {
    const { io, limitBytes } = this.#options;
    this.#waiting.push({ bytes, sent: 0, fds: fds.map((fd) => io.dup(fd)) });
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > limitBytes) this.#congested = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = this.#options.clock.after(this.#retryMs, () => {
      this.#timer = undefined;
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      if (!this.flush()) this.#schedule();
    });
  }

  #closeFds(fds: number[]): void {
    for (const fd of fds.splice(0)) this.#options.io.close(fd);
  }
}
