// Linters read tests outside of any project, and then know no disposables.
/// <reference lib="esnext.disposable" />
import type { NativeIo, Watch } from "@vfmig/linux";

/** A reply as it came, read without this package's codec. */
export interface RawReply {
  readonly id: number;
  readonly command: number;
  readonly flags: number;
  readonly errno: number;
  readonly payload: Uint8Array;
  readonly fds: readonly number[];
}

/** QEMU's first message, as it stood on the wire (10.2.2 and 11.1.3), without its header. */
export const QEMU_CAPABILITIES =
  '{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}';

/** A client that sends whatever a test wants and checks nothing. */
export class RawPeer {
  readonly io: NativeIo;
  readonly fd: number;
  /** Settles when the other side has closed. */
  readonly ended: Promise<void>;
  readonly replies: RawReply[] = [];
  /** Takes every command that comes, for a peer that plays the server. */
  onMessage: ((message: RawReply) => void) | undefined;
  #deaf = false;
  #bytes = new Uint8Array(0);
  readonly #fds: number[] = [];
  #watch: Watch;
  readonly #end = Promise.withResolvers<void>();
  #waiters: (() => void)[] = [];

  constructor(io: NativeIo, fd: number) {
    this.io = io;
    this.fd = fd;
    this.ended = this.#end.promise;
    this.#watch = io.watch(fd, () => this.#receive());
  }

  /** While true, nothing is received. */
  set deaf(value: boolean) {
    if (value === this.#deaf) return;
    this.#deaf = value;
    if (value) this.#watch[Symbol.dispose]();
    else this.#watch = this.io.watch(this.fd, () => this.#receive());
  }

  /** Sends raw bytes; the socket must have room. */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    const sent = this.io.send(this.fd, bytes, 0, bytes.length, fds);
    if (sent !== bytes.length) throw new Error(`only ${sent} of ${bytes.length} bytes were sent`);
  }

  command(
    id: number,
    command: number,
    payload: Uint8Array = new Uint8Array(0),
    more: { flags?: number; fds?: readonly number[] } = {},
  ): void {
    this.send(message(id, command, payload, more.flags ?? 0), more.fds);
  }

  /** The reply with this id, which is taken away. Rejects where the connection ends first. */
  async reply(id: number): Promise<RawReply> {
    for (;;) {
      const at = this.replies.findIndex((reply) => reply.id === id);
      const found = this.replies[at];
      if (found !== undefined) {
        this.replies.splice(at, 1);
        return found;
      }
      await Promise.race([
        new Promise<void>((resolve) => this.#waiters.push(resolve)),
        this.ended.then(() => {
          throw new Error(`the connection ended before reply ${id}`);
        }),
      ]);
    }
  }

  /** Negotiates as QEMU does. */
  async negotiate(json: string = QEMU_CAPABILITIES): Promise<RawReply> {
    this.command(0xffff, 1, versionPayload(0, 0, json));
    return this.reply(0xffff);
  }

  close(): void {
    this.#watch[Symbol.dispose]();
    this.io.close(this.fd);
    for (const reply of this.replies) for (const fd of reply.fds) this.io.close(fd);
  }

  #receive(): void {
    const piece = new Uint8Array(65_536);
    const count = this.io.receive(this.fd, piece, 0, piece.length, this.#fds);
    if (count < 0) return;
    if (count === 0) {
      this.#watch[Symbol.dispose]();
      this.#end.resolve();
      return;
    }
    const joined = new Uint8Array(this.#bytes.length + count);
    joined.set(this.#bytes);
    joined.set(piece.subarray(0, count), this.#bytes.length);
    this.#bytes = joined;
    while (this.#cut()) for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #cut(): boolean {
    if (this.#bytes.length < 16) return false;
    const view = new DataView(this.#bytes.buffer);
    const size = view.getUint32(4, true);
    if (this.#bytes.length < size) return false;
    const message: RawReply = {
      id: view.getUint16(0, true),
      command: view.getUint16(2, true),
      flags: view.getUint32(8, true),
      errno: view.getUint32(12, true),
      payload: this.#bytes.slice(16, size),
      fds: this.#fds.splice(0),
    };
    this.#bytes = this.#bytes.slice(size);
    if (this.onMessage !== undefined && (message.flags & 0xf) === 0) this.onMessage(message);
    else this.replies.push(message);
    return true;
  }
}

/** A message with its header. */
export function message(
  id: number,
  command: number,
  payload: Uint8Array = new Uint8Array(0),
  flags: number = 0,
): Uint8Array {
  const bytes = new Uint8Array(16 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, command, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, flags, true);
  bytes.set(payload, 16);
  return bytes;
}

export function versionPayload(major: number, minor: number, json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const payload = new Uint8Array(4 + text.length + 1);
  new DataView(payload.buffer).setUint16(0, major, true);
  new DataView(payload.buffer).setUint16(2, minor, true);
  payload.set(text, 4);
  return payload;
}

/** Little-endian fields, one after the other: `u32(1, 2)` is 8 bytes. */
export function u32(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export function u64(...values: readonly (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, (value) => BigInt(value)).buffer);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
