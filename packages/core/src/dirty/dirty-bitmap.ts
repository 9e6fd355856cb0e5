import { VfmigError } from "../errors/vfmig-error.ts";
import type { DirtySink } from "../sub-driver/facets.ts";
import { type Chunk, CHUNK_PAGES, type WordSink } from "./chunk.ts";
import { ChunkDirectory } from "./chunk-directory.ts";
import {
  ADDRESS_LIMIT,
  addressError,
  boundsOf,
  checkReport,
  type DirtyRange,
  isPowerOfTwo,
} from "./dirty-range.ts";
import { createReportSink, type ReportSink } from "./report.ts";
import { CountSink, PageSink, RunSink } from "./runs.ts";

/**
 * Which pages of an IOVA space of 2^52 bytes were written.
 *
 * Memory: 33 KiB for each 2^18 pages (1 GiB of 4 KiB pages) in which a page was ever marked; stretches
 * that were marked whole before cost nothing. Marking allocates only when such a stretch is first
 * touched. Reading costs by the dirty pages, not by the size of the space.
 *
 * It never under-reports: a page that is partly in a range is marked, and is cleared by a read only
 * when all of it was read.
 * @example
 * const dirty = new DirtyBitmap();
 * dirty.set(0x12345, 1500);
 * const bitmap = new Uint8Array(8);
 * dirty.readAndClear({ iova: 0n, size: 0x40000n }, 4096, bitmap); // bitmap[2] === 0b0000_0100
 */
export class DirtyBitmap implements DirtySink {
  /** Bytes. */
  readonly pageSize: number;
  readonly #inverse: number;
  readonly #directory: ChunkDirectory = new ChunkDirectory();
  /** The chunk that was marked last: devices write in streaks. */
  #cached: Chunk | undefined;
  #cachedIndex = -1;

  /**
   * @param pageSize bytes, a power of two from 512 to 2^40
   * @throws VfmigError `ERR_VFMIG_DIRTY_RANGE`
   */
  constructor(pageSize = 4096) {
    if (!isPowerOfTwo(pageSize) || pageSize < 512 || pageSize > 2 ** 40) {
      throw new VfmigError(
        "ERR_VFMIG_DIRTY_RANGE",
        `Dirty bitmap: page size ${pageSize} is not a power of two from 512 to 2^40`,
        { layer: "core", details: { pageSize } },
      );
    }
    this.pageSize = pageSize;
    this.#inverse = 1 / pageSize;
  }

  /**
   * Marks the pages of `[iova, iova + length)`, in bytes; length 0 marks none.
   * @throws VfmigError `ERR_VFMIG_DIRTY_ADDRESS`
   */
  set(iova: number, length: number): void {
    const end = iova + length;
    // Written so that NaN fails it.
    if (!(iova >= 0 && length >= 0 && end <= ADDRESS_LIMIT)) throw addressError(iova, length);
    if (length === 0) return;
    const first = Math.floor(iova * this.#inverse);
    const last = Math.ceil(end * this.#inverse) - 1;
    if (first === last) this.#mark(first);
    else this.#markPages(first, last + 1);
  }

  /**
   * Marks the page that holds byte `iova`.
   * @throws VfmigError `ERR_VFMIG_DIRTY_ADDRESS`
   */
  setPage(iova: number): void {
    if (!(iova >= 0 && iova < ADDRESS_LIMIT)) throw addressError(iova, 1);
    this.#mark(Math.floor(iova * this.#inverse));
  }

  /**
   * As {@link DirtyBitmap.set}, for a range of the API; any size is cheap.
   * @throws VfmigError `ERR_VFMIG_DIRTY_ADDRESS`
   */
  setRange(range: DirtyRange): void {
    const { first, end } = boundsOf(range);
    this.set(first, end - first);
  }

  /**
   * True if the page that holds byte `iova` is marked.
   * @throws VfmigError `ERR_VFMIG_DIRTY_ADDRESS`
   */
  test(iova: number): boolean {
    if (!(iova >= 0 && iova < ADDRESS_LIMIT)) throw addressError(iova, 1);
    return this.#test(Math.floor(iova * this.#inverse));
  }

  /** Marks all that `other` has marked; its page size may differ. */
  merge(other: DirtyBitmap): void {
    if (other === this) return;
    if (other.pageSize !== this.pageSize) {
      other.forEachRun((iova, length) => this.set(iova, length));
      return;
    }
    other.#directory.visit(0, this.#pages(), {
      chunk: (index, chunk) => {
        if (other.#directory.isFull(chunk)) this.#directory.fillWhole(index);
        else this.#open(index).merge(chunk);
      },
    });
  }

  /**
   * Moves what is marked in `range` into a wire bitmap: bit n, least significant first, is page n of
   * the range, in pages of `pageSize` bytes, finer or coarser than tracked. Bits are only ever set.
   * @throws VfmigError `ERR_VFMIG_DIRTY_RANGE` for a range that is empty or not aligned to `pageSize`,
   * or a bitmap that is too small; `ERR_VFMIG_DIRTY_ADDRESS`
   */
  readAndClear(range: DirtyRange, pageSize: number, bitmap: Uint8Array): void {
    const { first, end, pages } = checkReport(range, pageSize, bitmap);
    const target = { start: first / pageSize, count: pages, bitmap };
    this.#drain(first, end, createReportSink(target, this.pageSize, pageSize));
  }

  /**
   * Moves what is marked in `range` into another log, whole pages at a time. If `into` throws, pages
   * may be lost: treat all of the range as dirty then.
   * @throws VfmigError `ERR_VFMIG_DIRTY_ADDRESS`
   */
  drain(range: DirtyRange, into: DirtySink): void {
    const { first, end } = boundsOf(range);
    const runs = new RunSink(this.pageSize, (iova, length) => into.set(iova, length));
    this.#drain(first, end, runs);
    runs.flush();
  }

  /** Clears all; keeps the memory for the next marks. */
  clear(): void {
    this.#directory.visit(0, this.#pages(), {
      chunk: (index, chunk) => this.#directory.clearWhole(index, chunk),
    });
    this.#forget();
  }

  /** Pages that are marked. */
  count(): number {
    const sink = new CountSink();
    this.#visit(sink);
    return sink.pages;
  }

  /** Calls back for each marked page, in order, allocating nothing; the bitmap must not change meanwhile. */
  forEachPage(give: (iova: number) => void): void {
    this.#visit(new PageSink(this.pageSize, give));
  }

  /** As {@link DirtyBitmap.forEachPage}, for the longest runs of marked pages; bytes. */
  forEachRun(give: (iova: number, length: number) => void): void {
    const runs = new RunSink(this.pageSize, give);
    this.#visit(runs);
    runs.flush();
  }

  clone(): DirtyBitmap {
    const copy = new DirtyBitmap(this.pageSize);
    copy.merge(this);
    return copy;
  }

  #pages(): number {
    return ADDRESS_LIMIT * this.#inverse;
  }

  #test(page: number): boolean {
    const index = Math.floor(page / CHUNK_PAGES);
    return this.#directory.find(index)?.test(page - index * CHUNK_PAGES) ?? false;
  }

  #mark(page: number): void {
    const index = Math.floor(page / CHUNK_PAGES);
    const bit = page - index * CHUNK_PAGES;
    const cached = index === this.#cachedIndex ? this.#cached : undefined;
    const chunk = cached ?? this.#open(index);
    chunk.mark(bit >>> 5, 1 << (bit & 31));
  }

  #markPages(first: number, end: number): void {
    const last = Math.floor((end - 1) / CHUNK_PAGES);
    for (let index = Math.floor(first / CHUNK_PAGES); index <= last; index++) {
      const base = index * CHUNK_PAGES;
      const lo = Math.max(first - base, 0);
      const hi = Math.min(end - base, CHUNK_PAGES);
      if (lo === 0 && hi === CHUNK_PAGES) this.#directory.fillWhole(index);
      else this.#open(index).fill(lo, hi);
    }
  }

  #open(index: number): Chunk {
    const chunk = this.#directory.open(index);
    this.#cached = chunk;
    this.#cachedIndex = index;
    return chunk;
  }

  #forget(): void {
    this.#cached = undefined;
    this.#cachedIndex = -1;
  }

  #visit(sink: WordSink): void {
    this.#directory.visit(0, this.#pages(), {
      chunk: (index, chunk, lo, hi) => chunk.visit(lo, hi, index * CHUNK_PAGES, sink, false),
    });
  }

  /** Gives the pages of bytes `[first, end)` and clears those that lie inside it. */
  #drain(first: number, end: number, sink: WordSink & Partial<ReportSink>): void {
    const inside = Math.ceil(first * this.#inverse);
    const outside = Math.floor(end * this.#inverse);
    // Chunks may be let go on the way, also when a sink throws.
    this.#forget();
    if (first >= end) return;
    if (first < inside * this.pageSize) this.#peek(inside - 1, sink);
    this.#directory.visit(inside, outside, {
      chunk: (index, chunk, lo, hi) => this.#drainChunk(index, chunk, lo, hi, sink),
    });
    // Where begin and end lie in one page, it was given above.
    if (outside * this.pageSize < end && outside >= inside) this.#peek(outside, sink);
  }

  /** Gives a page that is partly in the range, and so cannot be cleared. */
  #peek(page: number, sink: WordSink): void {
    if (this.#test(page)) sink.word(page, 1);
  }

  #drainChunk(
    index: number,
    chunk: Chunk,
    lo: number,
    hi: number,
    sink: WordSink & Partial<ReportSink>,
  ): void {
    const firstPage = index * CHUNK_PAGES;
    const all = lo === 0 && hi === CHUNK_PAGES;
    if (all && (sink.whole?.(firstPage, chunk) ?? false)) {
      this.#directory.clearWhole(index, chunk);
    } else if (all && this.#directory.isFull(chunk)) {
      chunk.visit(lo, hi, firstPage, sink, false);
      this.#directory.drop(index);
    } else {
      this.#directory.own(index).visit(lo, hi, firstPage, sink, true);
    }
  }
}
