import type { FrameReader } from "../transport/frame-reader.ts";

/** Less than this is copied. */
const LEAST_EXCHANGE = 16_384;

/**
 * Memory for data that must outlive the message that brought them. Large data keep the buffer in which
 * they were received, and the reader goes on in the one that was kept before: nothing is copied, and no
 * fresh memory is touched, which would cost more than the copy.
 */
export class SpareBuffer {
  #spare: Uint8Array<ArrayBuffer> | undefined;

  /** Bytes `[from, to)` of the reader's current message, the caller's until it gives them back. */
  take(reader: FrameReader, from: number, to: number): Uint8Array<ArrayBuffer> {
    const { bytes } = reader;
    if (to - from < LEAST_EXCHANGE) return bytes.slice(from, to);
    const replacement =
      this.#spare?.length === bytes.length ? this.#spare : new Uint8Array(bytes.length);
    const taken = reader.exchange(replacement);
    if (taken === undefined) {
      this.#spare = replacement;
      return bytes.slice(from, to);
    }
    this.#spare = undefined;
    return taken.subarray(from, to);
  }

  giveBack(data: Uint8Array<ArrayBuffer>): void {
    if (data.buffer.byteLength >= LEAST_EXCHANGE) this.#spare = new Uint8Array(data.buffer);
  }
}
