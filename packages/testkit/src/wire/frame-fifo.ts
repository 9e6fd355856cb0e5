/**
 * Frames on their way out, copied, oldest first: what a NIC's transmit FIFO is. Bounded in bytes and in
 * frames; nothing is allocated after the constructor.
 */
export class FrameFifo {
  /** Where the frames lie; see {@link headOffset}. */
  readonly bytes: Uint8Array;
  readonly #offsets: Uint32Array;
  readonly #lengths: Uint32Array;
  /** Position of the oldest frame's entry. */
  #first = 0;
  #count = 0;
  /** Where the next frame goes, unless it has to begin anew at 0. */
  #end = 0;

  /** @param capacity bytes; @param frames frames that wait at most */
  constructor(capacity: number, frames: number) {
    this.bytes = new Uint8Array(capacity);
    this.#offsets = new Uint32Array(frames);
    this.#lengths = new Uint32Array(frames);
  }

  get count(): number {
    return this.#count;
  }

  /** Of the oldest frame; only where there is one. */
  get headOffset(): number {
    return this.#offsets[this.#first] ?? 0;
  }

  get headLength(): number {
    return this.#lengths[this.#first] ?? 0;
  }

  /** Copies `frame` to the end; false where there is no room for it. */
  push(frame: Uint8Array): boolean {
    if (this.#count === this.#lengths.length) return false;
    const at = this.#place(frame.length);
    if (at < 0) return false;
    this.bytes.set(frame, at);
    const entry = (this.#first + this.#count) % this.#lengths.length;
    this.#offsets[entry] = at;
    this.#lengths[entry] = frame.length;
    this.#count++;
    this.#end = at + frame.length;
    return true;
  }

  /** Forgets the oldest frame. */
  shift(): void {
    if (this.#count === 0) return;
    this.#first = (this.#first + 1) % this.#lengths.length;
    this.#count--;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Frames lie in one piece: one that does not fit at the end goes to the beginning. */
  #place(length: number): number {
    const capacity = this.bytes.length;
    if (this.#count === 0) return length <= capacity ? 0 : -1;
    const head = this.headOffset;
    const wrapped = this.#end <= head;
    const limit = wrapped ? head : capacity;
    if (this.#end + length <= limit) return this.#end;
    return !wrapped && length <= head ? 0 : -1;
  }
}
