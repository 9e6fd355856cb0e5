import { edgeMask } from "../dirty/chunk.ts";
import { orWord } from "../dirty/wire-bits.ts";
import { type DirtyWordSink, setRuns } from "../dirty/word-bits.ts";

/**
 * Turns written stretches into bits of one report: bit n, least significant first, for page n counted
 * from `start`. Only ever sets bits, and none outside `[start, end)`. Allocates nothing.
 */
export class BitmapSink implements DirtyWordSink {
  readonly #start: number;
  readonly #end: number;
  readonly #pageSize: number;
  readonly #bitmap: Uint8Array;
  /** The bitmap by words, as far as it has whole ones; empty where it does not begin at one. */
  readonly #words: Uint32Array;
  /** True once a stretch was no stretch at all: then nothing that was said can be trusted. */
  broken = false;
  #closed = false;

  constructor(start: number, end: number, pageSize: number, bitmap: Uint8Array) {
    this.#start = start;
    this.#end = end;
    this.#pageSize = pageSize;
    this.#bitmap = bitmap;
    const { buffer, byteOffset, length } = bitmap;
    const whole = byteOffset % 4 === 0 ? Math.floor(length / 4) : 0;
    this.#words = new Uint32Array(buffer, whole === 0 ? 0 : byteOffset, whole);
  }

  set(iova: number, length: number): void {
    if (this.#closed) return;
    const end = iova + length;
    if (!Number.isSafeInteger(iova) || !Number.isSafeInteger(end) || iova < 0 || length < 0) {
      this.broken = true;
      return;
    }
    const from = Math.max(iova, this.#start);
    const to = Math.min(end, this.#end);
    if (from >= to) return;
    const first = Math.floor((from - this.#start) / this.#pageSize);
    const last = Math.floor((to - 1 - this.#start) / this.#pageSize);
    this.#setBits(first, last);
  }

  setWords(iova: number, pageSize: number, words: Uint32Array, pages: number): void {
    const first = (iova - this.#start) / this.#pageSize;
    const covered = first >= 0 && iova + pages * pageSize <= this.#end;
    if (!covered || pageSize !== this.#pageSize || !Number.isInteger(first)) {
      setRuns(this, iova, pageSize, words, pages);
      return;
    }
    if (this.#closed || pages === 0) return;
    const last = Math.ceil(pages / 32) - 1;
    const own = this.#words;
    const base = first / 32;
    // Where words meet words, but for the last one, of which only a part may count.
    const direct = first % 32 === 0 ? Math.min(last, own.length - base) : 0;
    for (let at = 0; at < direct; at++) {
      const bits = words[at]!;
      if (bits !== 0) own[base + at]! |= bits;
    }
    for (let at = Math.max(direct, 0); at <= last; at++) {
      const bits = (words[at] ?? 0) & edgeMask(at, 0, pages);
      if (bits !== 0) orWord(this.#bitmap, first + at * 32, bits);
    }
  }

  /** The bitmap is its owner's again: a sub-driver that comes late writes nowhere. */
  close(): void {
    this.#closed = true;
  }

  /** Everything is dirty. */
  setAll(): void {
    this.#setBits(0, Math.floor((this.#end - 1 - this.#start) / this.#pageSize));
  }

  #setBits(first: number, last: number): void {
    const bitmap = this.#bitmap;
    const firstByte = Math.floor(first / 8);
    const lastByte = Math.floor(last / 8);
    const head = (0xff << (first % 8)) & 0xff;
    const tail = 0xff >> (7 - (last % 8));
    if (firstByte === lastByte) {
      bitmap[firstByte] = (bitmap[firstByte] ?? 0) | (head & tail);
      return;
    }
    bitmap[firstByte] = (bitmap[firstByte] ?? 0) | head;
    bitmap.fill(0xff, firstByte + 1, lastByte);
    bitmap[lastByte] = (bitmap[lastByte] ?? 0) | tail;
  }
}
