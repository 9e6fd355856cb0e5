import { VfmigError } from "@vfmig/core";

/** Gaps that one flow may have at most: 100 moves leave some hundreds. */
const MAX_RANGES = 65_536;

/**
 * A set of sequence numbers, as sorted half-open ranges that never touch. Numbers come nearly in
 * order, so adding one costs a compare; memory follows the number of gaps.
 */
export class SequenceRanges {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #size = 0;

  /** How many numbers are in the set. */
  get size(): number {
    return this.#size;
  }

  /** One more than the highest number; 0 where the set is empty. */
  get end(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /**
   * Adds a number; false where it is there already.
   * @throws VfmigError `ERR_VFMIG_TRAFFIC_GAPS`
   */
  add(value: number): boolean {
    const last = this.#ends.length - 1;
    if (last >= 0 && this.#ends[last] === value) {
      this.#ends[last] = value + 1;
      this.#size++;
      return true;
    }
    const index = this.#firstEndingAfter(value);
    if (index <= last && (this.#starts[index] ?? 0) <= value) return false;
    this.#insert(index, value);
    this.#size++;
    return true;
  }

  has(value: number): boolean {
    const index = this.#firstEndingAfter(value);
    return index < this.#starts.length && (this.#starts[index] ?? 0) <= value;
  }

  /** The ranges as [first, one past the last]. */
  ranges(): [number, number][] {
    return this.#starts.map((start, i) => [start, this.#ends[i] ?? start]);
  }

  /** The numbers of [0, limit) that are not in the set, as ranges. */
  missing(limit: number): [number, number][] {
    const gaps: [number, number][] = [];
    let from = 0;
    for (const [start, end] of this.ranges()) {
      if (from >= limit) break;
      if (start > from) gaps.push([from, Math.min(start, limit)]);
      from = end;
    }
    if (from < limit) gaps.push([from, limit]);
    return gaps;
  }

  static from(ranges: readonly (readonly [number, number])[]): SequenceRanges {
    const set = new SequenceRanges();
    for (const [start, end] of ranges) {
      const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0;
      const inOrder = set.#size === 0 || set.end < start;
      if (!whole || !inOrder || end <= start) {
        throw gaps(`range ${start} to ${end} is empty or out of order`);
      }
      set.#starts.push(start);
      set.#ends.push(end);
      set.#size += end - start;
    }
    return set;
  }

  #firstEndingAfter(value: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) > value) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Adds `value`, which lies between the ranges `index - 1` and `index`. */
  #insert(index: number, value: number): void {
    const joinsLeft = index > 0 && this.#ends[index - 1] === value;
    const joinsRight = index < this.#starts.length && this.#starts[index] === value + 1;
    if (joinsLeft && joinsRight) {
      this.#ends[index - 1] = this.#ends[index] ?? value;
      this.#starts.splice(index, 1);
      this.#ends.splice(index, 1);
    } else if (joinsLeft) {
      this.#ends[index - 1] = value + 1;
    } else if (joinsRight) {
      this.#starts[index] = value;
    } else {
      if (this.#starts.length >= MAX_RANGES) throw gaps(`more than ${MAX_RANGES} gaps`);
      this.#starts.splice(index, 0, value);
      this.#ends.splice(index, 0, value + 1);
    }
  }
}

function gaps(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_TRAFFIC_GAPS",
    `sequence numbers of a flow: ${why}; frames are lost nearly everywhere, or the list was made up`,
    { layer: "testkit" },
  );
}
