/** Collects bytes; grows with what arrives, never with what a length field promises. */
export class GrowingBuffer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** `initial`: bytes to begin with. */
  constructor(initial: number) {
    this.#bytes = new Uint8Array(initial);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes that are reserved now. */
  get capacity(): number {
    return this.#bytes.length;
  }

  get view(): DataView {
    return this.#view;
  }

  /** What was collected; valid until the next {@link GrowingBuffer.append}. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Takes `count` bytes of `from` at `at`; the buffer will never hold more than `atMost`. */
  append(from: Uint8Array, at: number, count: number, atMost: number): void {
    if (count === 0) return;
    const needed = this.#length + count;
    if (needed > this.#bytes.length) this.#grow(Math.max(needed, Math.min(2 * needed, atMost)));
    this.#bytes.set(from.subarray(at, at + count), this.#length);
    this.#length = needed;
  }

  clear(): void {
    this.#length = 0;
  }

  #grow(capacity: number): void {
    const larger = new Uint8Array(capacity);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
