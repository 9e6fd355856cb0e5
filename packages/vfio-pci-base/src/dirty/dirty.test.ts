import type { DmaLoggingFacet, IovaRange } from "@vfmig/core";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, sharedMemory } from "../conformance/checks.ts";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import type { FakeFunction } from "../testing/fake-kernel/function.ts";
import { FakeMachine } from "../testing/fake-kernel/machine.ts";
import { openOn, VF } from "../testing/rig.ts";
import { eachRun, setBits } from "./bitmap.ts";
import { atMost, covers, mergeRanges } from "./ranges.ts";

const PAGE = 4096n;

interface Logged extends AsyncDisposable {
  readonly machine: FakeMachine;
  readonly fn: FakeFunction;
  readonly device: VfioPciDevice;
  readonly log: DmaLoggingFacet;
  map(iova: bigint, pages: number): Promise<void>;
  /** Numbers of the dirty pages of a range. */
  dirty(range: IovaRange, pageSize?: number): Promise<number[]>;
}

async function logged(kind: "device" | "iommu"): Promise<Logged> {
  const machine = new FakeMachine({ iommufd: kind === "iommu", dirtyTracking: true });
  const fn = machine.add({ address: VF, group: 7, logsWrites: kind === "device" });
  const memory = sharedMemory(machine.io, 4 * 1024 * 1024);
  const device = await openOn(machine);
  device.setBusMaster(true);
  const log = kind === "device" ? device.dmaLogging : device.iommuDirty;
  if (log === undefined) throw new Error("there is no log");
  return {
    machine,
    fn,
    device,
    log,
    async map(iova, pages) {
      const part = memory.part(0, pages * 4096);
      await device.mapDma({
        iova,
        size: BigInt(pages) * PAGE,
        read: true,
        write: true,
        memory: part,
      });
    },
    async dirty(range, pageSize = 4096) {
      const pages = Math.ceil(Number(range.size) / pageSize);
      const bitmap = new Uint8Array(Math.ceil(pages / 8));
      await log.report(range, pageSize, bitmap);
      const found: number[] = [];
      eachRun(bitmap, bitmap.length * 8, (first, end) => {
        for (let bit = first; bit < end; bit += 1) found.push(bit);
      });
      return found;
    },
    async [Symbol.asyncDispose]() {
      await device[Symbol.asyncDispose]();
      memory[Symbol.dispose]();
      machine.assertClosed();
      machine[Symbol.dispose]();
    },
  };
}

describe.each(["device", "iommu"] as const)("the log of the %s", (kind) => {
  it("tells each page that was written once, at any page size", async () => {
    await using all = await logged(kind);
    await all.map(0x10_0000n, 64);
    const range = { iova: 0x10_0000n, size: 64n * PAGE };
    expect(await all.log.start({ pageSize: 4096, ranges: [range] })).toBe(4096);
    for (const page of [0n, 5n, 6n, 63n]) all.fn.dma(range.iova + page * PAGE + 17n);
    expect(await all.dirty(range)).toEqual([0, 5, 6, 63]);
    expect(await all.dirty(range)).toEqual([]);
    all.fn.dma(range.iova + 33n * PAGE);
    expect(await all.dirty(range, 65_536)).toEqual([2]);
    all.fn.dma(range.iova + 2n * PAGE);
    expect(await all.dirty(range, 1024)).toEqual([8, 9, 10, 11]);
    await all.log.stop();
  });

  it("reads a range that covers several mappings and the holes between them", async () => {
    await using all = await logged(kind);
    await all.map(0n, 4);
    await all.map(0x10_000n, 4);
    await all.log.start({ pageSize: 4096, ranges: [] });
    all.fn.dma(0x3000n);
    all.fn.dma(0x11_000n);
    expect(await all.dirty({ iova: 0n, size: 0x20_000n })).toEqual([3, 17]);
    all.fn.dma(0x3000n);
    expect(await all.dirty({ iova: 0x1000n, size: 0x2000n })).toEqual([]);
    expect(await all.dirty({ iova: 0x1000n, size: 0x3000n })).toEqual([2]);
    await all.log.stop();
  });

  it("is off at first and after a stop, and is started once", async () => {
    await using all = await logged(kind);
    await all.map(0n, 1);
    const range = { iova: 0n, size: PAGE };
    await refuses("ERR_VFMIG_DMA_LOGGING_STATE", () => all.dirty(range));
    await all.log.stop();
    await all.log.start({ pageSize: 4096, ranges: [range] });
    const again = (): unknown => all.log.start({ pageSize: 4096, ranges: [range] });
    await refuses("ERR_VFMIG_DMA_LOGGING_STATE", again, "EBUSY");
    for (const wrong of [
      { iova: 0n, size: 0n },
      { iova: -PAGE, size: PAGE },
      { iova: 2n ** 52n, size: PAGE },
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await refuses("ERR_VFMIG_DMA_LOGGING_REQUEST", () =>
        all.log.report(wrong, 4096, new Uint8Array(8)),
      );
    }
    await refuses("ERR_VFMIG_DMA_LOGGING_REQUEST", () =>
      all.log.report({ iova: 0n, size: 9n * PAGE }, 4096, new Uint8Array(1)),
    );
    await all.log.stop();
    await refuses("ERR_VFMIG_DMA_LOGGING_STATE", () => all.dirty(range));
  });

  it("sets bits and clears none", async () => {
    await using all = await logged(kind);
    await all.map(0n, 16);
    await all.log.start({ pageSize: 4096, ranges: [] });
    all.fn.dma(PAGE);
    const bitmap = Uint8Array.of(0x80, 0x01);
    await all.log.report({ iova: 0n, size: 16n * PAGE }, 4096, bitmap);
    expect([...bitmap]).toEqual([0x82, 0x01]);
  });
});

describe("the log of the device", () => {
  it("does not know what is mapped later: that counts as dirty each time", async () => {
    await using all = await logged("device");
    await all.map(0n, 4);
    await all.log.start({ pageSize: 4096, ranges: [{ iova: 0n, size: 4n * PAGE }] });
    await all.map(0x10_000n, 2);
    const range = { iova: 0n, size: 0x20_000n };
    expect(await all.dirty(range)).toEqual([16, 17]);
    expect(await all.dirty(range)).toEqual([16, 17]);
  });

  it("counts everything as dirty once it was lost, until it is started again", async () => {
    await using all = await logged("device");
    await all.map(0n, 4);
    const range = { iova: 0n, size: 4n * PAGE };
    await all.log.start({ pageSize: 4096, ranges: [range] });
    all.fn.log.broken = true;
    await refuses("ERR_VFMIG_VFIO_CALL", () => all.dirty(range));
    expect(await all.dirty(range)).toEqual([0, 1, 2, 3]);
    all.fn.log.broken = false;
    await all.log.stop();
    await all.log.start({ pageSize: 4096, ranges: [range] });
    expect(await all.dirty(range)).toEqual([]);
    await all.device.reset();
    expect(await all.dirty(range)).toEqual([0, 1, 2, 3]);
  });

  it("is given at most 256 ranges, which cover all that was asked for", async () => {
    await using all = await logged("device");
    for (let i = 0; i < 300; i += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await all.map(BigInt(i) * 0x10_000n, 1);
    }
    await all.log.start({ pageSize: 4096, ranges: [] });
    expect(all.fn.log.ranges).toBe(256);
    all.fn.dma(299n * 0x10_000n);
    expect(await all.dirty({ iova: 299n * 0x10_000n, size: PAGE })).toEqual([0]);
  });
});

describe("the log of the IOMMU", () => {
  it("tells of memory that was unmapped meanwhile that all of it is dirty, once", async () => {
    await using all = await logged("iommu");
    await all.map(0n, 4);
    await all.log.start({ pageSize: 4096, ranges: [] });
    all.fn.dma(0n);
    await all.device.unmapDma({ iova: 0n, size: 4n * PAGE });
    expect(await all.dirty({ iova: PAGE, size: PAGE })).toEqual([0]);
    expect(await all.dirty({ iova: 0n, size: 8n * PAGE })).toEqual([0, 2, 3]);
    expect(await all.dirty({ iova: 0n, size: 8n * PAGE })).toEqual([]);
  });

  it("is not there where the IOMMU keeps none, or nobody wants it", async () => {
    using machine = new FakeMachine({ iommufd: true });
    machine.add({ address: VF, group: 7 });
    await using device = await openOn(machine);
    expect(device.iommuDirty).toBeUndefined();
    using other = new FakeMachine({ iommufd: true, dirtyTracking: true });
    other.add({ address: VF, group: 7 });
    await using unwanted = await openOn(other, { iommuDirty: false });
    expect(unwanted.iommuDirty).toBeUndefined();
  });
});

describe("ranges and bits", () => {
  const range = fc.record({
    iova: fc.bigInt({ min: 0n, max: 1n << 20n }),
    size: fc.bigInt({ min: 1n, max: 1n << 14n }),
  });

  it("are merged and joined without losing a byte", () => {
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 40 }),
        fc.integer({ min: 1, max: 8 }),
        (ranges, most) => {
          const merged = mergeRanges(ranges, PAGE);
          const few = atMost(merged, most);
          expect(few.length).toBeLessThanOrEqual(Math.max(most, 0));
          for (const each of ranges) {
            expect(covers(merged, each)).toBe(true);
            expect(covers(few, each)).toBe(true);
          }
          for (const [i, each] of few.entries()) {
            expect(each.iova % PAGE).toBe(0n);
            const next = few[i + 1];
            if (next !== undefined) expect(each.iova + each.size).toBeLessThan(next.iova);
          }
        },
      ),
    );
  });

  it("are set and found again", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), fc.integer({ min: 0, max: 40 }), (a, b, offset) => {
        const [first, end] = [Math.min(a, b), Math.max(a, b) + 1];
        const bits = new Uint8Array(32);
        setBits(bits, first, end);
        const runs: number[][] = [];
        eachRun(bits, 256 - offset, (from, to) => runs.push([from, to]));
        const limit = 256 - offset;
        expect(runs).toEqual(first < limit ? [[first, Math.min(end, limit)]] : []);
      }),
    );
  });
});
