import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DirtyTrackingOps } from "../sub-driver/facets.ts";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import type { DmaLoggingFacet } from "./dma-logging-facet.ts";
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
