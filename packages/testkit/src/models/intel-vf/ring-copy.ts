import type { MemorySpan } from "@vfmig/core";
import type { Dma } from "./dma.ts";

/** A descriptor ring in guest memory. */
export interface RingPlace {
  /** Address of its first descriptor. */
  readonly base: number;
  /** In descriptors. */
  readonly length: number;
  /** Bytes of a descriptor. */
  readonly size: number;
}

/**
 * A ring that only messages reach: a copy of the posted descriptors, which are the device's until it
 * reports them, and a note of those that it reported and the guest has not got yet.
 */
export class RingCopy {
  readonly span: MemorySpan;
  readonly #dma: Dma;
  readonly #ring: RingPlace;
  /** Descriptors from the head on that the copy holds. */
  #held = 0;
  /** Places written since the last {@link RingCopy.flush}, in ring order. */
  #owed: number[] = [];
  #closed = false;

  constructor(dma: Dma, ring: RingPlace) {
    this.#dma = dma;
    this.#ring = ring;
    const bytes = new Uint8Array(ring.length * ring.size);
    this.span = { base: ring.base, size: bytes.length, bytes, data: new DataView(bytes.buffer) };
  }

  /** The copy, where it holds the descriptor `distance` places after the head. */
  find(distance: number): MemorySpan | undefined {
    return distance < this.#held ? this.span : undefined;
  }

  /** The head moved on by one. */
  taken(): void {
    if (this.#held > 0) this.#held--;
  }

  /** Gets the descriptors from `head` to `tail`; false where nothing reaches them. */
  async fetch(head: number, tail: number): Promise<boolean> {
    const { length } = this.#ring;
    const first = await this.#get(head, tail >= head ? tail : length);
    const done = first && (tail >= head || (await this.#get(0, tail)));
    if (done) this.#held = (tail - head + length) % length;
    return done;
  }

  /** The queue was stopped: nothing more is written. */
  close(): void {
    this.#closed = true;
  }

  /** The descriptor at ring place `index` was reported in the copy. */
  owe(index: number): void {
    this.#owed.push(index);
  }

  get owes(): boolean {
    return this.#owed.length > 0;
  }

  /** Tells the guest what it is owed, in ring order; false where nothing reaches the ring. */
  async flush(): Promise<boolean> {
    const owed = this.#owed;
    this.#owed = [];
    for (let first = 0; first < owed.length && !this.#closed;) {
      let last = first;
      while (owed[last + 1] === owed[last]! + 1) last++;
      if (!(await this.#put(owed[first]!, owed[last]! + 1))) return false;
      first = last + 1;
    }
    return true;
  }

  #get(from: number, to: number): boolean | Promise<boolean> {
    const { base, size } = this.#ring;
    if (from === to) return true;
    return this.#dma.fetch(base + from * size, this.span.bytes.subarray(from * size, to * size));
  }

  #put(from: number, to: number): boolean | Promise<boolean> {
    const { base, size } = this.#ring;
    return this.#dma.store(base + from * size, this.span.bytes.subarray(from * size, to * size));
  }
}
