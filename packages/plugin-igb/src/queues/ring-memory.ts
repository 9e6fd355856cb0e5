import type { DmaBuffer } from "@vfmig/core";
import type { PrivateRing } from "@vfmig/shadow-queue";
import { DESCRIPTOR_SIZE } from "./codecs.ts";

/** Longest ring that a guest may have, in descriptors; igbvf's limit. */
export const RING_MAX = 4096;
/** Slots of our own beyond a guest's, so that no packet of its is ever cut in two: see {@link RingMemory}. */
export const SPARE = 64;

/**
 * Private memory for one ring. It is longer than any ring of the guest, since a packet whose descriptors
 * do not all fit would be given to the device in two halves, and QEMU's igb loses the first.
 */
export class RingMemory {
  readonly #buffer: DmaBuffer;

  constructor(allocate: (bytes: number) => DmaBuffer) {
    this.#buffer = allocate((RING_MAX + SPARE) * DESCRIPTOR_SIZE);
  }

  get iova(): number {
    return this.#buffer.iova;
  }

  /** Descriptors of the private ring for a guest's of `count`. */
  static count(count: number): number {
    return count + SPARE;
  }

  /** Zeroed slots for a guest's ring of `count`. */
  ring(count: number): PrivateRing {
    const slots = RingMemory.count(count);
    const { buffer, byteOffset } = this.#buffer.data;
    new Uint8Array(buffer, byteOffset, slots * DESCRIPTOR_SIZE).fill(0);
    return { data: new DataView(buffer, byteOffset, slots * DESCRIPTOR_SIZE), count: slots };
  }

  close(): void {
    this.#buffer[Symbol.dispose]();
  }
}
