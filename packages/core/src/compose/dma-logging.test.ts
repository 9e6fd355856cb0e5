import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { IovaRange } from "../device/dma.ts";
import type { DirtySink, DirtyTrackingOps } from "../sub-driver/facets.ts";
import { codeOf, composed, type Composed } from "../testing/composed.ts";
import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";

class FakeLog implements DirtyTrackingOps {
  readonly calls: string[] = [];
  ranges: readonly IovaRange[] = [];
  granted: unknown = 4096;
  failStart: unknown;
  read: (range: IovaRange, sink: DirtySink) => void | Promise<void> = () => {};

  async start(ranges: readonly IovaRange[]): Promise<number> {
    this.calls.push("start");
    this.ranges = ranges;
    if (this.failStart !== undefined) throw this.failStart;
    return Number(this.granted);
  }

  async stop(): Promise<void> {
    this.calls.push("stop");
  }

  readAndClear(range: IovaRange, sink: DirtySink): void | Promise<void> {
    return this.read(range, sink);
  }
}

async function logged(): Promise<Composed & { log: FakeLog; facet: DmaLoggingFacet }> {
  const log = new FakeLog();
  const it = await composed({ dirtyTracking: log });
  if (it.device.dmaLogging === undefined) throw new Error("no log");
  return { ...it, log, facet: it.device.dmaLogging };
}

const page = (n: number, pages = 1): IovaRange => ({
  iova: BigInt(n) * 4096n,
  size: BigInt(pages) * 4096n,
});

describe("the log of device writes", () => {
  it("starts once, stops, and stops again without harm", async () => {
    const { facet, log } = await logged();
    expect(await facet.start({ pageSize: 4096, ranges: [page(0, 16)] })).toBe(4096);
    const again = codeOf(facet.start({ pageSize: 4096, ranges: [] }));
    expect(await again).toBe("ERR_VFMIG_DMA_LOGGING_STATE");
    await facet.stop();
    await facet.stop();
    await facet.start({ pageSize: 4096, ranges: [] });
    expect(log.calls).toEqual(["start", "stop", "start"]);
    expect(log.ranges).toEqual([{ iova: 0n, size: 1n << 52n }]);
  });

  it.each([
    ["page size 0", { pageSize: 0 }],
    ["page size 2 KiB", { pageSize: 2048 }],
    ["page size 12 KiB", { pageSize: 12_288 }],
    ["page size 2^53", { pageSize: 2 ** 53 }],
    ["page size one above 2^51", { pageSize: 2 ** 51 + 1 }],
    ["a page size that is no number", { pageSize: Number.NaN }],
    ["257 ranges", { ranges: Array.from({ length: 257 }, (_, i) => page(i * 2)) }],
    ["an overlap", { ranges: [page(8, 4), page(0, 9)] }],
    ["the same range twice", { ranges: [page(1), page(1)] }],
    ["an empty range", { ranges: [page(1, 0)] }],
    ["a range that wraps", { ranges: [{ iova: (1n << 64n) - 4096n, size: 8192n }] }],
    ["a range above 2^52", { ranges: [{ iova: (1n << 52n) - 4096n, size: 8192n }] }],
    ["a negative address", { ranges: [page(-1)] }],
    ["an unaligned address", { ranges: [{ iova: 1n, size: 4096n }] }],
    ["an unaligned size", { ranges: [{ iova: 0n, size: 4095n }] }],
    ["4 KiB ranges for 64 KiB pages", { pageSize: 65_536, ranges: [page(1)] }],
  ])("does not start with %s", async (_, more) => {
    const { facet, log } = await logged();
    const code = codeOf(facet.start({ pageSize: 4096, ranges: [], ...more }));
    expect(await code).toBe("ERR_VFMIG_DMA_LOGGING_REQUEST");
    expect(log.calls).toEqual([]);
  });

  it("takes 256 ranges, in any order, side by side", async () => {
    const { facet, log } = await logged();
    const ranges = Array.from({ length: 256 }, (_, i) => page(255 - i));
    await facet.start({ pageSize: 4096, ranges });
    expect(log.ranges).toHaveLength(256);
  });

  it.each([0, 3000, 2048, Number.NaN])("is not on with a granted page size of %d", async (size) => {
    const { facet, log } = await logged();
    log.granted = size;
    const code = codeOf(facet.start({ pageSize: 4096, ranges: [] }));
    expect(await code).toBe("ERR_VFMIG_SUB_DRIVER_ANSWER");
    expect(log.calls).toEqual(["start", "stop"]);
    const report = codeOf(facet.report(page(0), 4096, new Uint8Array(1)));
    expect(await report).toBe("ERR_VFMIG_DMA_LOGGING_STATE");
  });

  it("leaves nothing started when the sub-driver fails half way", async () => {
    const { facet, log, device } = await logged();
    log.failStart = new Error("no memory");
    await expect(facet.start({ pageSize: 4096, ranges: [] })).rejects.toMatchObject({
      layer: "plugin:fake-nic",
    });
    expect(log.calls).toEqual(["start", "stop"]);
    expect(device.info.regions[0]?.mmap?.areas).toHaveLength(1);
    log.failStart = undefined;
    await facet.start({ pageSize: 4096, ranges: [] });
  });

  it.each([
    ["page size 2 KiB", page(0), 2048, 8],
    ["page size 3 KiB", page(0), 3072, 8],
    ["page size 0", page(0), 0, 8],
    ["page size 2^63", page(0), 2 ** 63, 8],
    ["an empty range", page(0, 0), 4096, 8],
    ["a range that wraps", { iova: (1n << 64n) - 4096n, size: 8192n }, 4096, 8],
    ["a bitmap that is too short", page(0, 65), 4096, 8],
  ] as const)("does not report with %s", async (_, range, pageSize, bytes) => {
    const { facet } = await logged();
    await facet.start({ pageSize: 4096, ranges: [] });
    const bitmap = new Uint8Array(bytes);
    const code = codeOf(facet.report(range, pageSize, bitmap));
    expect(await code).toBe("ERR_VFMIG_DMA_LOGGING_REQUEST");
    expect([...bitmap]).toEqual(Array.from({ length: bytes }, () => 0));
  });

  it("says what the sub-driver says, for any page size, and never more than was asked", async () => {
    const { facet, log } = await logged();
    await facet.start({ pageSize: 4096, ranges: [] });
    const stretch = fc.tuple(
      fc.integer({ min: 0, max: 600_000 }),
      fc.integer({ min: 0, max: 90_000 }),
    );
    const input = fc.record({
      iova: fc.integer({ min: 0, max: 300_000 }),
      size: fc.integer({ min: 1, max: 300_000 }),
      shift: fc.integer({ min: 12, max: 16 }),
      stretches: fc.array(stretch, { maxLength: 8 }),
      before: fc.integer({ min: 0, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(input, async ({ iova, size, shift, stretches, before }) => {
        log.read = (_, sink) => {
          for (const [at, length] of stretches) sink.set(at, length);
        };
        const pageSize = 2 ** shift;
        const pages = Math.ceil(size / pageSize);
        const bitmap = new Uint8Array(Math.ceil(pages / 8) + 1).fill(before);
        await facet.report({ iova: BigInt(iova), size: BigInt(size) }, pageSize, bitmap);
        for (let bit = 0; bit < bitmap.length * 8; bit++) {
          const from = iova + bit * pageSize;
          const to = Math.min(from + pageSize, iova + size);
          const hit = stretches.some(([at, n]) => Math.max(at, from) < Math.min(at + n, to));
          const was = ((before >> (bit % 8)) & 1) === 1;
          const is = (((bitmap[Math.floor(bit / 8)] ?? 0) >> (bit % 8)) & 1) === 1;
          expect(is).toBe(was || hit);
        }
      }),
    );
  });

  it("covers the last page below 2^52", async () => {
    const { facet, log } = await logged();
    await facet.start({ pageSize: 4096, ranges: [] });
    log.read = (_, sink) => sink.set(2 ** 52 - 1, 1);
    const bitmap = new Uint8Array(1);
    await facet.report({ iova: (1n << 52n) - 8192n, size: 8192n }, 4096, bitmap);
    expect(bitmap[0]).toBe(0b10);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("tracker lost"))],
    ["names no stretch", (_: IovaRange, sink: DirtySink) => sink.set(Number.NaN, 1)],
    ["names a negative length", (_: IovaRange, sink: DirtySink) => sink.set(0, -1)],
    ["wraps", (_: IovaRange, sink: DirtySink) => sink.set(4096, 2 ** 53)],
  ] as const)(
    "calls everything dirty, until it starts anew, when the sub-driver %s",
    async (_, read) => {
      const { facet, log, logger } = await logged();
      await facet.start({ pageSize: 4096, ranges: [page(0, 64)] });
      log.read = read;
      const report = async (): Promise<number[]> => {
        const bitmap = new Uint8Array(3);
        await facet.report(page(0, 10), 4096, bitmap);
        return [...bitmap];
      };
      expect(await report()).toEqual([0xff, 0b11, 0]);
      expect(logger.lines.some((line) => line.includes("Everything counts as dirty"))).toBe(true);
      log.read = () => {};
      expect(await report()).toEqual([0xff, 0b11, 0]);
      await facet.stop();
      await facet.start({ pageSize: 4096, ranges: [] });
      expect(await report()).toEqual([0, 0, 0]);
    },
  );

  it("calls everything dirty when the sub-driver never answers, and hears nothing later", async () => {
    const { facet, log, clock } = await logged();
    await facet.start({ pageSize: 4096, ranges: [] });
    let kept: DirtySink | undefined;
    log.read = (_, sink) => {
      kept = sink;
      return Promise.withResolvers<void>().promise;
    };
    const bitmap = new Uint8Array(1);
    const report = facet.report(page(0, 8), 4096, bitmap);
    await clock.advance(10_000);
    await report;
    expect(bitmap[0]).toBe(0xff);
    bitmap[0] = 0;
    kept?.set(0, 4096);
    expect(bitmap[0]).toBe(0);
  });

  it("goes on through a reset", async () => {
    const { facet, log, device } = await logged();
    await facet.start({ pageSize: 4096, ranges: [] });
    await device.reset();
    log.read = (_, sink) => sink.set(0, 1);
    const bitmap = new Uint8Array(1);
    await facet.report(page(0), 4096, bitmap);
    expect(bitmap[0]).toBe(1);
  });
});
