import type { RegionRange } from "../sub-driver/facets.ts";

/** Bytes of doorbells that one region may declare; each costs 17 bytes of memory. */
export const DOORBELL_BYTES_MAX = 65_536;

/** Widest single access that is kept; a longer write is kept in pieces. */
const WIDTH_MAX = 8;

/**
 * Writes to a region's doorbells that wait for the end of an arc: the last value for each offset, in
 * memory that is set aside beforehand, so that a guest that hammers them costs nothing more.
 */
export class Doorbells {
  readonly #ranges: readonly RegionRange[];
  /** First slot of each range; one slot for each byte at which a write can start. */
  readonly #firstSlots: readonly number[];
  readonly #widths: Uint8Array;
  readonly #values: Uint8Array;
  /** Number of the last write to a slot, which is the order in which they are applied. */
  readonly #order: Float64Array;
  #writes = 0;

  constructor(ranges: readonly RegionRange[]) {
    let slots = 0;
    this.#ranges = ranges;
    this.#firstSlots = ranges.map(({ size }) => (slots += size) - size);
    this.#widths = new Uint8Array(slots);
    this.#values = new Uint8Array(slots * WIDTH_MAX);
    this.#order = new Float64Array(slots);
  }

  /** True while a write waits. */
  get waiting(): boolean {
    return this.#writes > 0;
  }

  /** Index of the doorbell range that holds all of `[offset, offset + length)`, or -1. */
  rangeOf(offset: number, length: number): number {
    for (let i = 0; i < this.#ranges.length; i++) {
      const range = this.#ranges[i];
      if (range === undefined || offset < range.offset) continue;
      if (offset + length <= range.offset + range.size) return i;
    }
    return -1;
  }

  /** Next border of a doorbell range after `offset`, at most `end`. */
  borderAfter(offset: number, end: number): number {
    let border = end;
    for (const range of this.#ranges) {
      const last = range.offset + range.size;
      if (range.offset > offset && range.offset < border) border = range.offset;
      if (last > offset && last < border) border = last;
    }
    return border;
  }

  /** Keeps a write that lies wholly in range number `index`. */
  keep(index: number, offset: number, from: Uint8Array): void {
    const range = this.#ranges[index];
    const first = this.#firstSlots[index];
    if (range === undefined || first === undefined) return;
    for (let at = 0; at < from.length; at += WIDTH_MAX) {
      const slot = first + offset - range.offset + at;
      const width = Math.min(WIDTH_MAX, from.length - at);
      this.#widths[slot] = width;
      for (let i = 0; i < width; i++) this.#values[slot * WIDTH_MAX + i] = from[at + i] ?? 0;
      this.#writes += 1;
      this.#order[slot] = this.#writes;
    }
  }

  /** Forgets what waits. */
  drop(): void {
    this.#widths.fill(0);
    this.#writes = 0;
  }

  /** Hands out what waits, in the order in which it was last written, and forgets it. */
  apply(write: (offset: number, from: Uint8Array) => void): void {
    if (!this.waiting) return;
    const kept: { readonly order: number; readonly offset: number; readonly value: Uint8Array }[] =
      [];
    for (const [index, range] of this.#ranges.entries()) {
      for (let byte = 0; byte < range.size; byte++) {
        const slot = (this.#firstSlots[index] ?? 0) + byte;
        const width = this.#widths[slot] ?? 0;
        if (width === 0) continue;
        const value = this.#values.slice(slot * WIDTH_MAX, slot * WIDTH_MAX + width);
        kept.push({ order: this.#order[slot] ?? 0, offset: range.offset + byte, value });
      }
    }
    this.drop();
    for (const { offset, value } of kept.toSorted((a, b) => a.order - b.order)) {
      write(offset, value);
    }
  }
}
