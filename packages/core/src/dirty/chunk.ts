/** 2^18 pages (1 GiB of 4 KiB pages) in 32 KiB: large enough that copying one hides its overhead. */
export const CHUNK_PAGES = 262_144;
const WORDS = CHUNK_PAGES / 32;
const SUMMARY = WORDS / 32;
/** Fewer non-zero words than this are found faster through the summary than by a copy of all. */
const DENSE_WORDS = WORDS / 8;

/** Takes 32 pages at a time: bit n of `bits` is page `firstPage + n`. Never called with 0. */
export interface WordSink {
  word(firstPage: number, bits: number): void;
}

/**
 * One stretch of the bitmap: a bit per page, and above it a bit per word, so that reading touches
 * only words that are not zero.
 *
 * Words are little endian in memory, as on every machine that vfmig runs on; so `bytes` is the wire
 * format.
 */
export class Chunk implements WordSink {
  readonly bytes: Uint8Array = new Uint8Array(CHUNK_PAGES / 8);
  readonly words: Uint32Array = new Uint32Array(this.bytes.buffer);
  readonly #summary: Uint32Array = new Uint32Array(SUMMARY);
  readonly #live: Uint32Array;
  readonly #slot: number;
  #nonZero = 0;

  /** `live`: bit `slot` of it says whether this chunk has dirty pages. */
  constructor(live: Uint32Array, slot: number) {
    this.#live = live;
    this.#slot = slot;
  }

  get dense(): boolean {
    return this.#nonZero >= DENSE_WORDS;
  }

  test(bit: number): boolean {
    return ((this.words[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  /** Sets the bits of `mask` in word `word`. The hot path. */
  mark(word: number, mask: number): void {
    const old = this.words[word] ?? 0;
    if (old === 0 && mask !== 0) this.#wake(word);
    this.words[word] = old | mask;
  }

  /** Sets bits `[lo, hi)`. */
  fill(lo: number, hi: number): void {
    const first = lo >>> 5;
    const last = (hi - 1) >>> 5;
    for (let word = first; word <= last; word++) this.mark(word, edgeMask(word, lo, hi));
  }

  /** Sets what `other` has set. */
  merge(other: Chunk): void {
    other.visit(0, CHUNK_PAGES, 0, this, false);
  }

  word(firstPage: number, bits: number): void {
    this.mark(firstPage >>> 5, bits);
  }

  /** Gives the words of `[lo, hi)` that are not zero, in order; clears them where `clear`. */
  visit(lo: number, hi: number, firstPage: number, sink: WordSink, clear: boolean): void {
    const first = lo >>> 5;
    const last = (hi - 1) >>> 5;
    for (let group = first >>> 5; group <= last >>> 5; group++) {
      let summary = (this.#summary[group] ?? 0) & edgeMask(group, first, last + 1);
      while (summary !== 0) {
        const word = group * 32 + lowestBit(summary);
        summary &= summary - 1;
        const bits = (this.words[word] ?? 0) & edgeMask(word, lo, hi);
        if (bits === 0) continue;
        if (clear) this.#unmark(word, bits);
        sink.word(firstPage + word * 32, bits);
      }
    }
  }

  /** Clears all. */
  wipe(): void {
    this.words.fill(0);
    this.#summary.fill(0);
    this.#nonZero = 0;
    const at = this.#slot >>> 5;
    this.#live[at] = (this.#live[at] ?? 0) & ~(1 << (this.#slot & 31));
  }

  #wake(word: number): void {
    const group = word >>> 5;
    this.#summary[group] = (this.#summary[group] ?? 0) | (1 << (word & 31));
    if (this.#nonZero++ !== 0) return;
    const at = this.#slot >>> 5;
    this.#live[at] = (this.#live[at] ?? 0) | (1 << (this.#slot & 31));
  }

  #unmark(word: number, bits: number): void {
    const left = (this.words[word] ?? 0) & ~bits;
    this.words[word] = left;
    if (left !== 0) return;
    const group = word >>> 5;
    this.#summary[group] = (this.#summary[group] ?? 0) & ~(1 << (word & 31));
    if (--this.#nonZero !== 0) return;
    const at = this.#slot >>> 5;
    this.#live[at] = (this.#live[at] ?? 0) & ~(1 << (this.#slot & 31));
  }
}

/** Index of the lowest bit that is set; `bits` is not 0. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** Which bits of word `word` lie in `[lo, hi)`, where the word overlaps it. */
export function edgeMask(word: number, lo: number, hi: number): number {
  let mask = -1;
  if (word === lo >>> 5) mask &= -1 << (lo & 31);
  if (word === (hi - 1) >>> 5) mask &= -1 >>> (31 - ((hi - 1) & 31));
  return mask;
}
