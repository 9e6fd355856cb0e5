import { FLAG, HEADER } from "../codec/header.ts";

/**
 * A received message, standing in the connection's buffer. One object is reused for all of them: what
 * is wanted later must be copied before the handler returns.
 */
export class Message {
  id: number = 0;
  command: number = 0;
  flags: number = 0;
  errno: number = 0;
  /** The connection's buffer and a view of all of it. */
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the payload begins in `bytes`, and its length in bytes. */
  at: number = 0;
  length: number = 0;
  /** Received with this message. Whoever keeps one takes it out; what remains is closed. */
  readonly fds: number[] = [];

  get isReply(): boolean {
    return (this.flags & FLAG.TYPE_MASK) === FLAG.TYPE_REPLY;
  }

  get isCommand(): boolean {
    return (this.flags & FLAG.TYPE_MASK) === FLAG.TYPE_COMMAND;
  }

  get noReply(): boolean {
    return (this.flags & FLAG.NO_REPLY) !== 0;
  }

  get isError(): boolean {
    return (this.flags & FLAG.ERROR) !== 0;
  }

  /** The payload where it stands; valid until the handler returns. */
  payload(): Uint8Array {
    return this.bytes.subarray(this.at, this.at + this.length);
  }

  /** Takes over the message of `size` bytes at `start`. */
  place(bytes: Uint8Array, view: DataView, start: number, size: number): void {
    this.bytes = bytes;
    this.view = view;
    this.id = view.getUint16(start + HEADER.MESSAGE_ID, true);
    this.command = view.getUint16(start + HEADER.COMMAND, true);
    this.flags = view.getUint32(start + HEADER.FLAGS, true);
    this.errno = view.getUint32(start + HEADER.ERROR, true);
    this.at = start + HEADER.BYTES;
    this.length = size - HEADER.BYTES;
  }
}
