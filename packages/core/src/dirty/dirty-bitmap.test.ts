import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DirtyBitmap } from "./dirty-bitmap.ts";

const LIMIT = 2 ** 52;
const CHUNK = 2 ** 30;
const LEAF = 2 ** 40;

/** The naive peer: page numbers in a set. */
class NaiveDirty {
  readonly pages: Set<number> = new Set<number>();
  readonly pageSize: number;

  constructor(pageSize: number) {
    this.pageSize = pageSize;
  }

  set(iova: number, length: number): void {
    if (length === 0) return;
    const first = Math.floor(iova / this.pageSize);
    for (let page = first; page * this.pageSize < iova + length; page++) this.pages.add(page);
  }

  readAndClear(iova: number, size: number, reportSize: number, bitmap: Uint8Array): void {
    for (const page of this.sorted().map((at) => at / this.pageSize)) {
      const start = page * this.pageSize;
      const end = start + this.pageSize;
      if (end <= iova || start >= iova + size) continue;
      const from = Math.max(Math.floor((start - iova) / reportSize), 0);
      const to = Math.min(Math.ceil((end - iova) / reportSize), size / reportSize);
      for (let n = from; n < to; n++) bitmap[n >> 3] = (bitmap[n >> 3] ?? 0) | (1 << (n & 7));
      if (start >= iova && end <= iova + size) this.pages.delete(page);
    }
  }

  sorted(): number[] {
    return [...this.pages].toSorted((a, b) => a - b).map((page) => page * this.pageSize);
  }
}

function pagesOf(bitmap: DirtyBitmap): number[] {
  const pages: number[] = [];
  bitmap.forEachPage((iova) => pages.push(iova));
  return pages;
}

/** Addresses near the borders of the structure. */
function near(spread: number): fc.Arbitrary<number> {
  const edges = [0, 2 ** 17, CHUNK, 3 * CHUNK, LEAF, 5 * LEAF, LIMIT - spread];
  return fc
    .tuple(fc.constantFrom(...edges), fc.integer({ min: -spread, max: spread - 1 }))
    .map(([edge, by]) => Math.min(Math.max(edge + by, 0), LIMIT - 1));
}

const writes = fc.array(
  fc
    .tuple(near(2 ** 20), fc.integer({ min: 0, max: 2 ** 18 }))
    .map(([iova, length]) => ({ iova, length: Math.min(length, LIMIT - iova) })),
  { maxLength: 30 },
);

describe("a dirty bitmap", () => {
  it("marks, reports, clears and iterates as a naive set does, for any page sizes", () => {
    const reports = fc.array(
      fc.record({
        at: near(2 ** 20),
        pages: fc.integer({ min: 1, max: 900 }),
        shift: fc.integer({ min: 8, max: 20 }),
        before: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(writes, reports, fc.constantFrom(512, 4096, 65536), (marks, reads, pageSize) => {
        const bitmap = new DirtyBitmap(pageSize);
        const naive = new NaiveDirty(pageSize);
        for (const { iova, length } of marks) {
          bitmap.set(iova, length);
          naive.set(iova, length);
        }
        for (const { at, pages, shift, before } of reads) {
          const reportSize = 2 ** shift;
          const iova = at - (at % reportSize);
          const size = Math.min(pages * reportSize, LIMIT - iova);
          const got = new Uint8Array(Math.ceil(size / reportSize / 8) + 1);
          if (before) got.fill(0xa0);
          const wanted = got.slice();
          bitmap.readAndClear({ iova: BigInt(iova), size }, reportSize, got);
          naive.readAndClear(iova, size, reportSize, wanted);
          expect(got).toEqual(wanted);
        }
        expect(pagesOf(bitmap)).toEqual(naive.sorted());
        expect(bitmap.count()).toBe(naive.pages.size);
      }),
      { numRuns: 300 },
    );
  });

  const dense = [0, 1, 8, 9, 4096].flatMap((skipped) =>
    [0, 0x11].flatMap((used) => [1, 2, 64].map((ratio) => ({ skipped, used, ratio }))),
  );

  it.each(dense)(
    "reports dense gibibytes $skipped pages into the range, in pages of $ratio, over bytes of $used",
    ({ skipped, used, ratio }) => {
      const bitmap = new DirtyBitmap();
      const iova = CHUNK - skipped * 4096 * ratio;
      const size = 2 * CHUNK;
      const wanted = new Uint8Array(size / 4096 / ratio / 8).fill(used);
      let random = skipped;
      for (let i = 0; i < 60_000; i++) {
        random = (Math.imul(random, 1_664_525) + 1_013_904_223) | 0;
        const page = (random >>> 8) % (size / 4096);
        bitmap.setPage(iova + page * 4096 + (random & 0xfff));
        const bit = Math.floor(page / ratio);
        wanted[bit >> 3] = (wanted[bit >> 3] ?? 0) | (1 << (bit & 7));
      }
      const got = new Uint8Array(wanted.length).fill(used);
      bitmap.readAndClear({ iova, size }, 4096 * ratio, got);
      expect(Buffer.compare(got, wanted)).toBe(0);
      expect(bitmap.count()).toBe(0);
    },
  );

  it("takes marks again in a stretch that was marked whole and then read in part", () => {
    const bitmap = new DirtyBitmap();
    bitmap.setRange({ iova: 0, size: CHUNK });
    bitmap.setPage(4096);
    const report = new Uint8Array(1);
    for (let round = 0; round < 2; round++) {
      report.fill(0);
      bitmap.readAndClear({ iova: 0, size: 8 * 4096 }, 4096, report);
      expect([...report]).toEqual([round === 0 ? 0xff : 2]);
      bitmap.setPage(4096);
      expect(bitmap.test(4096)).toBe(true);
    }
  });

  it("gives runs that join to its pages and touch no neighbour", () => {
    fc.assert(
      fc.property(writes, (marks) => {
        const bitmap = new DirtyBitmap();
        for (const { iova, length } of marks) bitmap.set(iova, length);
        const pages: number[] = [];
        let last = -1;
        bitmap.forEachRun((iova, length) => {
          expect(iova).toBeGreaterThan(last);
          last = iova + length;
          for (let at = iova; at < last; at += 4096) pages.push(at);
        });
        expect(pages).toEqual(pagesOf(bitmap));
      }),
    );
  });

  it("merges and clones without touching the source, for equal and different page sizes", () => {
    fc.assert(
      fc.property(writes, writes, fc.constantFrom(1024, 4096, 16384), (mine, theirs, pageSize) => {
        const bitmap = new DirtyBitmap();
        const other = new DirtyBitmap(pageSize);
        const naive = new NaiveDirty(4096);
        for (const { iova, length } of mine) bitmap.set(iova, length);
        for (const { iova, length } of theirs) other.set(iova, length);
        const before = pagesOf(other);
        for (const iova of pagesOf(bitmap)) naive.set(iova, 4096);
        for (const iova of before) naive.set(iova, pageSize);
        bitmap.merge(other);
        const copy = bitmap.clone();
        copy.setPage(77 * CHUNK);
        expect(pagesOf(bitmap)).toEqual(naive.sorted());
        expect(pagesOf(other)).toEqual(before);
        expect(copy.count()).toBe(bitmap.count() + 1);
      }),
    );
  });

  it("moves a range into another log, and keeps pages that are only partly in it", () => {
    const bitmap = new DirtyBitmap();
    bitmap.set(0, 5 * 4096);
    const runs: [number, number][] = [];
    const sink = { set: (iova: number, length: number): void => void runs.push([iova, length]) };
    bitmap.drain({ iova: 6000n, size: 8000n }, sink);
    expect(runs).toEqual([[4096, 3 * 4096]]);
    expect(pagesOf(bitmap)).toEqual([0, 4096, 3 * 4096, 4 * 4096]);
    bitmap.drain({ iova: 100, size: 50 }, sink);
    bitmap.drain({ iova: 100, size: 0 }, sink);
    expect(runs.slice(1)).toEqual([[0, 4096]]);
    expect(bitmap.test(0)).toBe(true);
  });

  it("marks all of the address space at no cost to speak of, and reads any part of it", () => {
    const bitmap = new DirtyBitmap(2 ** 16);
    bitmap.setRange({ iova: 0n, size: 2n ** 52n });
    expect(bitmap.test(LIMIT - 1)).toBe(true);
    const report = new Uint8Array(2);
    bitmap.readAndClear({ iova: LIMIT - 2 ** 20, size: 2 ** 20 }, 2 ** 16, report);
    expect([...report]).toEqual([0xff, 0xff]);
    expect(bitmap.test(LIMIT - 1)).toBe(false);
    expect(bitmap.test(LIMIT - 2 ** 20 - 1)).toBe(true);
    const copy = bitmap.clone();
    expect(copy.test(LIMIT / 2)).toBe(true);
    bitmap.setPage(12);
    bitmap.clear();
    expect(copy.test(12)).toBe(true);
    expect(bitmap.count()).toBe(0);
    bitmap.setPage(12);
    expect(pagesOf(bitmap)).toEqual([0]);
  });

  it("lets a range that was marked whole be cleared in part, in whole, and marked again", () => {
    const bitmap = new DirtyBitmap();
    bitmap.setRange({ iova: 0, size: 2 * CHUNK });
    const copy = bitmap.clone();
    bitmap.drain({ iova: 4096, size: 4096 }, { set() {} });
    expect(bitmap.count()).toBe(2 ** 19 - 1);
    expect(copy.count()).toBe(2 ** 19);
    copy.drain({ iova: 0, size: 2 * CHUNK }, bitmap);
    expect(bitmap.count()).toBe(2 ** 19);
    expect(copy.count()).toBe(0);
    copy.set(CHUNK - 1, 2);
    expect(pagesOf(copy)).toEqual([CHUNK - 4096, CHUNK]);
  });

  it("keeps nothing after a read, and takes marks again", () => {
    const bitmap = new DirtyBitmap();
    const report = new Uint8Array(1);
    for (let round = 0; round < 3; round++) {
      bitmap.set(4095, 2);
      report.fill(0);
      bitmap.readAndClear({ iova: 0, size: 8 * 4096 }, 4096, report);
      expect([...report]).toEqual([3]);
      report.fill(0);
      bitmap.readAndClear({ iova: 0, size: 8 * 4096 }, 4096, report);
      expect([...report]).toEqual([0]);
    }
  });

  it("refuses addresses outside of 2^52 and lets those inside up to the last byte", () => {
    const bitmap = new DirtyBitmap();
    const bad: [number, number][] = [
      [-1, 1],
      [LIMIT, 1],
      [LIMIT - 1, 2],
      [Number.NaN, 1],
      [0, Number.NaN],
      [0, -1],
      [0, Number.POSITIVE_INFINITY],
    ];
    const code = { code: "ERR_VFMIG_DIRTY_ADDRESS" };
    for (const [iova, length] of bad) {
      expect(() => bitmap.set(iova, length)).toThrow(expect.objectContaining(code));
    }
    expect(() => bitmap.setPage(LIMIT)).toThrow(expect.objectContaining(code));
    expect(() => bitmap.test(-1)).toThrow(expect.objectContaining(code));
    const far = { iova: 2n ** 64n - 4096n, size: 8192n };
    expect(() => bitmap.setRange(far)).toThrow(expect.objectContaining(code));
    expect(() => bitmap.readAndClear(far, 4096, new Uint8Array(1))).toThrow(
      expect.objectContaining(code),
    );
    expect(bitmap.count()).toBe(0);
    bitmap.set(LIMIT - 1, 1);
    expect(pagesOf(bitmap)).toEqual([LIMIT - 4096]);
  });

  it("refuses reports that are not aligned, empty, of odd page sizes or too large for the bitmap", () => {
    const bitmap = new DirtyBitmap();
    bitmap.set(0, 1);
    const code = { code: "ERR_VFMIG_DIRTY_RANGE" };
    const read = (iova: number, size: number, pageSize: number, bytes: number) => () =>
      bitmap.readAndClear({ iova, size }, pageSize, new Uint8Array(bytes));
    const bad = [
      read(512, 4096, 4096, 1),
      read(0, 4095, 4096, 1),
      read(0, 0, 4096, 1),
      read(0, 9 * 4096, 4096, 1),
      read(0, 3 * 4096, 3072, 9),
      read(0, 4096, 0, 9),
      read(0, 4096, -4096, 9),
      read(0, 4096, Number.NaN, 9),
      read(0, 4096, 2 ** 53, 9),
    ];
    for (const attempt of bad) expect(attempt).toThrow(expect.objectContaining(code));
    for (const pageSize of [0, 3000, 256, 2 ** 41, Number.NaN]) {
      expect(() => new DirtyBitmap(pageSize)).toThrow(expect.objectContaining(code));
    }
    expect(bitmap.count()).toBe(1);
  });
});
