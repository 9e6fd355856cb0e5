import { ERRNO } from "../errno.ts";
import { systemCallError } from "../system-call-error.ts";
import { announce, type OpenFile } from "./open-file.ts";

/** Limits of a real socket, which the fake has too (`unix_stream_sendmsg`, `net/unix/af_unix.c`). */
export const STREAM_LIMITS = {
  /** Default of `net.core.wmem_default`: what may be under way in one direction, overhead included. */
  room: 212_992,
  /** What a small message costs beyond its bytes. */
  overhead: 768,
  /** The kernel cuts longer messages: 3,776 bytes of a page and 32 KiB of fragments. */
  piece: 36_544,
} as const;

interface Chunk {
  readonly bytes: Uint8Array;
  /** Bytes already read. */
  at: number;
  /** Descriptors on the first byte. */
  files: OpenFile[];
}

/** How a stream keeps the files of a message open until they are received. */
export interface FileHolder {
  hold(file: OpenFile): void;
  release(file: OpenFile): void;
}

/** One end of a connected pair. */
export class FakeStream implements OpenFile {
  readonly kind: OpenFile["kind"] = "socket";
  readonly size = 0n;
  readonly shrinkSealed = false;
  readonly changed: Set<() => void> = new Set();
  readonly #holder: FileHolder;
  readonly #incoming: Chunk[] = [];
  #used = 0;
  #peer: FakeStream | undefined;
  #ended = false;

  private constructor(holder: FileHolder) {
    this.#holder = holder;
  }

  static pair(holder: FileHolder): [FakeStream, FakeStream] {
    const one = new FakeStream(holder);
    const other = new FakeStream(holder);
    one.#peer = other;
    other.#peer = one;
    return [one, other];
  }

  readable(): boolean {
    return this.#incoming.length > 0 || this.#ended;
  }

  writable(): boolean {
    return this.#ended || this.#peer === undefined || this.#peer.#used < STREAM_LIMITS.room;
  }

  /** Ends both directions; what is under way can still be read. */
  end(): void {
    for (const side of [this, this.#peer]) {
      if (side === undefined) continue;
      side.#ended = true;
      announce(side);
    }
  }

  closed(): void {
    const peer = this.#peer;
    this.end();
    this.#peer = undefined;
    if (peer !== undefined) peer.#peer = undefined;
    for (const chunk of this.#incoming.splice(0)) this.#drop(chunk);
  }

  /** Bytes written, or -1 where there is no room. */
  send(fd: number, from: Uint8Array, files: readonly OpenFile[]): number {
    const peer = this.#peer;
    if (this.#ended || peer === undefined) {
      throw systemCallError("sendmsg", ERRNO["EPIPE"] ?? 32, { fd });
    }
    let sent = 0;
    while (sent < from.length && peer.#used < STREAM_LIMITS.room) {
      const bytes = from.slice(sent, sent + STREAM_LIMITS.piece);
      const carried = sent === 0 ? [...files] : [];
      for (const file of carried) this.#holder.hold(file);
      peer.#incoming.push({ bytes, at: 0, files: carried });
      peer.#used += bytes.length + STREAM_LIMITS.overhead;
      sent += bytes.length;
    }
    if (sent === 0) return -1;
    announce(peer);
    return sent;
  }

  /**
   * As the kernel reads: across plain chunks and into one that carries descriptors, never past its end.
   * Received files are appended to `files`, and their references are the caller's.
   */
  receive(into: Uint8Array, files: OpenFile[]): number {
    let count = 0;
    while (count < into.length) {
      const chunk = this.#incoming[0];
      if (chunk === undefined) break;
      const piece = chunk.bytes.subarray(chunk.at, chunk.at + into.length - count);
      into.set(piece, count);
      count += piece.length;
      chunk.at += piece.length;
      const carried = chunk.files.length > 0;
      files.push(...chunk.files);
      chunk.files = [];
      if (chunk.at < chunk.bytes.length) break;
      this.#incoming.shift();
      this.#used -= chunk.bytes.length + STREAM_LIMITS.overhead;
      if (carried) break;
    }
    if (count > 0) {
      if (this.#peer !== undefined) announce(this.#peer);
      return count;
    }
    return this.#ended ? 0 : -1;
  }

  #drop(chunk: Chunk): void {
    this.#used -= chunk.bytes.length + STREAM_LIMITS.overhead;
    for (const file of chunk.files) this.#holder.release(file);
  }
}
