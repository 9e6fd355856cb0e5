import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DirtyTrackingOps } from "../sub-driver/facets.ts";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import type { DmaLoggingFacet } from "./dma-logging-facet.ts";
import { BitmapSink } from "../compose/bitmap-sink.ts";
import { joinDirtySources } from "./sources.ts";

const PAGE = 4096;
const BASE = 0x40_0000;
const PAGES = 200;
const RANGE = { iova: BigInt(BASE), size: BigInt(PAGES * PAGE) };

/** A log with pages in it, that notes whether it runs. */
class FakeLog implements DmaLoggingFacet, DirtyTrackingOps {
  runs = false;
  fails = false;
  readonly #pages: readonly number[];

  constructor(pages: readonly number[] = []) {
    this.#pages = pages;
  }

  async start(): Promise<number> {
    if (this.fails) throw new Error("no log");
    this.runs = true;
    return PAGE;
  }

  async stop(): Promise<void> {
    this.runs = false;
  }

  async report(_range: unknown, _size: number, bitmap: Uint8Array): Promise<void> {
    for (const page of this.#pages)
      bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
  }

  readAndClear(_range: unknown, sink: { set(iova: number, length: number): void }): void {
    for (const page of this.#pages) sink.set(BASE + page * PAGE, PAGE);
  }
}

async function read(source: DirtyTrackingOps | undefined): Promise<Set<number>> {
  await source?.start([RANGE], PAGE);
  const bitmap = new DirtyBitmap(PAGE);
  await source?.readAndClear(RANGE, bitmap);
  await source?.stop();
  const pages = Array.from({ length: PAGES }, (_, page) => page);
  return new Set(pages.filter((page) => bitmap.test(BASE + page * PAGE)));
}

describe("dirty sources", () => {
  test("say together what each of them says, and nothing else", async () => {
    const pages = fc.uniqueArray(fc.nat(PAGES - 1));
    await fc.assert(
      fc.asyncProperty(pages, pages, pages, async (driver, device, iommu) => {
        const base = { dmaLogging: new FakeLog(device), iommuDirty: new FakeLog(iommu) };
        const joined = joinDirtySources(new FakeLog(driver), base, ["driver", "device", "iommu"]);
        expect(await read(joined)).toEqual(new Set([...driver, ...device, ...iommu]));
      }),
    );
  });

  /** A log of one bitmap, of pages of 4 KiB from address 0, of which any stretch can be read. */
  function flatLog(pages: ReadonlySet<number>): DmaLoggingFacet & { readonly reads: number[] } {
    const reads: number[] = [];
    return {
      reads,
      start: async () => PAGE,
      stop: async () => {},
      report: async ({ iova, size }, _pageSize, bitmap) => {
        reads.push(bitmap.length);
        const first = Number(iova) / PAGE;
        for (let page = 0; page < Number(size) / PAGE; page++) {
          if (pages.has(first + page))
            bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
        }
      },
    };
  }

  test("give a report what their log says, whatever its begin, its pages and what it holds already", async () => {
    const drawn = fc.record({
      pages: fc.uniqueArray(fc.nat(400)),
      first: fc.nat(300),
      count: fc.integer({ min: 1, max: 100 }),
      reported: fc.constantFrom(PAGE, PAGE * 2, PAGE * 4),
      offset: fc.nat(4),
      held: fc.uniqueArray(fc.nat(20)),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ pages, first, count, reported, offset, held }) => {
        const iova = first * reported;
        const size = count * reported;
        const range = { iova: BigInt(iova), size: BigInt(size) };
        const log = flatLog(new Set(pages));
        const joined = joinDirtySources(undefined, { dmaLogging: log }, ["device"]);
        await joined?.start([range], PAGE);
        const bytes = Math.ceil(count / 8);
        const memory = new Uint8Array(offset + bytes + 8);
        const bitmap = memory.subarray(offset, offset + bytes);
        const kept = held.filter((page) => page < count);
        for (const page of kept) bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
        await joined?.readAndClear(range, new BitmapSink(iova, iova + size, reported, bitmap));
        const wanted = new Set(kept);
        for (const page of pages) {
          const at = Math.floor((page * PAGE - iova) / reported);
          if (at >= 0 && at < count) wanted.add(at);
        }
        const found = Array.from({ length: bytes * 8 }, (_, page) => page).filter(
          (page) => (((bitmap[page >> 3] ?? 0) >> (page & 7)) & 1) === 1,
        );
        expect(new Set(found)).toEqual(wanted);
        expect(memory.subarray(offset + bytes).every((byte) => byte === 0)).toBe(true);
        expect(memory.subarray(0, offset).every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  test("read a large range in windows, and have forgotten what an earlier one said", async () => {
    const [window, size] = [2 ** 20, 2.5 * 2 ** 20];
    const log = flatLog(new Set([0, window - 1, window, 2 * window + 7]));
    const joined = joinDirtySources(undefined, { dmaLogging: log }, ["device"]);
    const range = { iova: 0n, size: BigInt(size * PAGE) };
    await joined?.start([range], PAGE);
    const bitmap = new Uint8Array(size / 8);
    await joined?.readAndClear(range, new BitmapSink(0, size * PAGE, PAGE, bitmap));
    expect(log.reads).toEqual([2 ** 17, 2 ** 17, 2 ** 16]);
    const bits = [...bitmap.entries()].filter(([, byte]) => byte !== 0);
    expect(bits).toEqual([
      [0, 1],
      [2 ** 17 - 1, 128],
      [2 ** 17, 1],
      [2 ** 18, 128],
    ]);
  });

  test("let nothing of an answer that comes after a new start into its reports", async () => {
    let late = (): void => {};
    const answers: ((bitmap: Uint8Array) => Promise<void>)[] = [
      (bitmap) => new Promise((resolve) => (late = () => resolve(void bitmap.fill(0xff)))),
      async () => {},
    ];
    const log: DmaLoggingFacet = {
      start: async () => PAGE,
      stop: async () => {},
      report: async (_range, _size, bitmap) => await answers.shift()?.(bitmap),
    };
    const joined = joinDirtySources(undefined, { dmaLogging: log }, ["device"]);
    const sink = { set: () => {} };
    await joined?.start([RANGE], PAGE);
    const first = joined?.readAndClear(RANGE, sink);
    await joined?.start([RANGE], PAGE);
    late();
    await first;
    const bitmap = new DirtyBitmap(PAGE);
    await joined?.readAndClear(RANGE, bitmap);
    expect(bitmap.count()).toBe(0);
  });

  test("are the driver's alone where nothing else is asked for", async () => {
    const driver = new FakeLog([3]);
    expect(joinDirtySources(driver, { dmaLogging: new FakeLog([4]) }, undefined)).toBe(driver);
  });

  test("start together or not at all", async () => {
    const [driver, device] = [new FakeLog(), new FakeLog()];
    device.fails = true;
    const joined = joinDirtySources(driver, { dmaLogging: device }, ["driver", "device"]);
    await expect(joined?.start([RANGE], PAGE)).rejects.toThrow("no log");
    expect(driver.runs).toBe(false);
  });

  test("that a device does not have are refused by name", () => {
    expect(() => joinDirtySources(new FakeLog(), { dmaLogging: undefined }, ["iommu"])).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_DIRTY_SOURCE",
        message: expect.stringMatching(/"iommu".*driver/u),
      }),
    );
  });
});
