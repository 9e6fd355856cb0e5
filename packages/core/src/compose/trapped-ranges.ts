import type { RegionRange } from "../sub-driver/facets.ts";

/** The trapped stretches of a region as flat numbers, so that an access finds its way fast. */
export class TrappedRanges {
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;

  /** @param ranges - as {@link areRanges} wants them */
  constructor(ranges: readonly RegionRange[]) {
    this.#starts = Float64Array.from(ranges, ({ offset }) => offset);
    this.#ends = Float64Array.from(ranges, ({ offset, size }) => offset + size);
  }

  /** Number of the range that holds `offset`, or -1. */
  at(offset: number): number {
    const index = this.#firstEndingAfter(offset);
    return index < this.#starts.length && (this.#starts[index] ?? Infinity) <= offset ? index : -1;
  }

  /** The next border after `offset`: the end of its range, or the start of the following one. */
  borderAfter(offset: number): number {
    const index = this.#firstEndingAfter(offset);
    const start = this.#starts[index] ?? Infinity;
    return start > offset ? start : (this.#ends[index] ?? Infinity);
  }

  #firstEndingAfter(offset: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** True for sorted ranges, apart, of at least a byte each, inside a region of `size` bytes. */
export function areRanges(ranges: readonly RegionRange[], size: number): boolean {
  if (!Array.isArray(ranges)) return false;
  let end = 0;
  for (const range of ranges as readonly (RegionRange | null | undefined)[]) {
    const offset = range?.offset ?? -1;
    const length = range?.size ?? -1;
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length)) return false;
    if (offset < end || length <= 0 || offset + length > size) return false;
    end = offset + length;
  }
  return true;
}
