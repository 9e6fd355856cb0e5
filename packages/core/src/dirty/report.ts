import { type Chunk, CHUNK_PAGES, lowestBit, type WordSink } from "./chunk.ts";
import { fillBits, orBytes, orWord } from "./wire-bits.ts";

/** Puts dirty pages into the wire bitmap of one report. */
export interface ReportSink extends WordSink {
  /** Takes a whole chunk at once; false where it must come by words. */
  whole(firstPage: number, chunk: Chunk): boolean;
}

/** What a report covers; `start` and `count` in pages of the report. */
export interface ReportTarget {
  readonly start: number;
  readonly count: number;
  readonly bitmap: Uint8Array;
}

/**
 * A sink for reports in pages of `reportSize` bytes, from a bitmap of pages of `trackedSize` bytes;
 * both are powers of two.
 */
export function createReportSink(
  target: ReportTarget,
  trackedSize: number,
  reportSize: number,
): ReportSink {
  if (reportSize === trackedSize) return new SameSize(target);
  if (reportSize > trackedSize) return new Coarser(target, reportSize / trackedSize);
  return new Finer(target, trackedSize / reportSize);
}

class SameSize implements ReportSink {
  readonly #start: number;
  readonly #bitmap: Uint8Array;
  /** The bitmap by words, as far as it has whole ones; empty where words do not meet words. */
  readonly #words: Uint32Array;
  #view: Buffer | undefined;
  #zeros: Uint8Array | undefined;

  constructor(target: ReportTarget) {
    const { buffer, byteOffset, length } = target.bitmap;
    this.#start = target.start;
    this.#bitmap = target.bitmap;
    const meets = target.start % 32 === 0 && byteOffset % 4 === 0;
    this.#words = meets
      ? new Uint32Array(buffer, byteOffset, Math.floor(length / 4))
      : new Uint32Array(0);
  }

  word(firstPage: number, bits: number): void {
    const at = firstPage - this.#start;
    const index = at / 32;
    if (index >= 0 && index < this.#words.length) {
      this.#words[index] = (this.#words[index] ?? 0) | bits;
    } else {
      orWord(this.#bitmap, at, bits);
    }
  }

  whole(firstPage: number, chunk: Chunk): boolean {
    const at = firstPage - this.#start;
    if (!chunk.dense || at % 8 !== 0) return false;
    const { buffer, byteOffset, byteLength } = this.#bitmap;
    this.#view ??= Buffer.from(buffer, byteOffset, byteLength);
    this.#zeros ??= new Uint8Array(CHUNK_PAGES / 8);
    orBytes(this.#bitmap, this.#view, at / 8, chunk.bytes, this.#zeros);
    return true;
  }
}

/** One reported page stands for `#ratio` tracked ones. */
class Coarser implements ReportSink {
  readonly #target: ReportTarget;
  readonly #ratio: number;

  constructor(target: ReportTarget, ratio: number) {
    this.#target = target;
    this.#ratio = ratio;
  }

  word(firstPage: number, bits: number): void {
    const { start, bitmap } = this.#target;
    const ratio = this.#ratio;
    let left = bits;
    while (left !== 0) {
      const bit = lowestBit(left);
      const page = Math.floor((firstPage + bit) / ratio) - start;
      fillBits(bitmap, page, page + 1);
      // The rest of this reported page says nothing new.
      const next = bit - (bit % ratio) + ratio;
      left = next >= 32 ? 0 : left & (-1 << next);
    }
  }

  whole(): boolean {
    return false;
  }
}

/** `#ratio` reported pages stand for one tracked one; they are cut at the ends of the report. */
class Finer implements ReportSink {
  readonly #target: ReportTarget;
  readonly #ratio: number;

  constructor(target: ReportTarget, ratio: number) {
    this.#target = target;
    this.#ratio = ratio;
  }

  word(firstPage: number, bits: number): void {
    const { start, count, bitmap } = this.#target;
    for (let left = bits; left !== 0; left &= left - 1) {
      const from = (firstPage + lowestBit(left)) * this.#ratio - start;
      fillBits(bitmap, Math.max(from, 0), Math.min(from + this.#ratio, count));
    }
  }

  whole(): boolean {
    return false;
  }
}
