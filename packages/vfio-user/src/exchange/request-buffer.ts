import { HEADER } from "../codec/header.ts";

const INITIAL_BYTES = 8192;

/** One buffer in which every request is built, header first. */
export class RequestBuffer {
  bytes: Uint8Array = new Uint8Array(INITIAL_BYTES);
  view: DataView = new DataView(this.bytes.buffer);
  /** Where the payload begins. */
  readonly at: number = HEADER.BYTES;

  /** Makes room for a payload. */
  reserve(payloadBytes: number): void {
    const need = HEADER.BYTES + payloadBytes;
    if (need <= this.bytes.length) return;
    this.bytes = new Uint8Array(Math.max(need, this.bytes.length * 2));
    this.view = new DataView(this.bytes.buffer);
  }
}
