import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DmaMapping } from "../device/dma.ts";
import { createGuestMemory } from "./create-guest-memory.ts";
import { createDmaMap, DMA_MAPPINGS_MAX } from "./dma-map.ts";

const PAGE = 4096n;

function mapping(iova: bigint, pages: number, more: Partial<DmaMapping> = {}): DmaMapping {
  const bytes = new Uint8Array(pages * 4096);
  return { iova, size: BigInt(pages) * PAGE, read: true, write: true, memory: { bytes }, ...more };
}

const refused = expect.objectContaining({ code: "ERR_VFMIG_DMA_MAP" });
const badAddress = expect.objectContaining({ code: "ERR_VFMIG_GUEST_ADDRESS" });

describe("a table of DMA mappings", () => {
  it.each([
    ["an unaligned address", { iova: 1n }],
    ["an unaligned size", { size: 4097n }],
    ["size 0", { size: 0n }],
    ["a negative size", { size: -PAGE }],
    ["a negative address", { iova: -PAGE }],
    ["an end above 2^52", { iova: (1n << 52n) - PAGE, size: 2n * PAGE, memory: undefined }],
    ["an end that wraps", { iova: (1n << 64n) - PAGE, memory: undefined }],
    ["neither read nor write", { read: false, write: false }],
    ["memory of another size", { memory: { bytes: new Uint8Array(8192) } }],
    ["an overlap at its start", { iova: 0xf000n, size: 2n * PAGE, memory: undefined }],
    ["an overlap at its end", { iova: 0x11000n, size: PAGE, memory: undefined }],
    ["an overlap with all of it", { iova: 0xf000n, size: 8n * PAGE, memory: undefined }],
    ["the same range again", { iova: 0x10000n, size: 2n * PAGE, memory: undefined }],
  ] as readonly (readonly [string, Partial<DmaMapping>])[])("refuses %s", (_, more) => {
    const map = createDmaMap();
    map.add(mapping(0x10000n, 2));
    expect(() => map.add({ ...mapping(0x20000n, 1), ...more })).toThrow(refused);
    expect(map.size).toBe(1);
  });

  it("refuses what is outside the device's windows, or spans two of them", () => {
    const map = createDmaMap([
      { first: 0n, last: 0xffffn },
      { first: 0x20000n, last: 0x2ffffn },
    ]);
    map.add(mapping(0xf000n, 1));
    map.add(mapping(0x2f000n, 1));
    for (const iova of [0x10000n, 0x1f000n, 0x30000n]) {
      expect(() => map.add(mapping(iova, 1))).toThrow(refused);
    }
    expect(() => map.add(mapping(0xe000n, 32))).toThrow(refused);
  });

  it("takes neighbours, and the last page below 2^52", () => {
    const map = createDmaMap();
    for (const iova of [0x2000n, 0x1000n, 0x3000n, (1n << 52n) - PAGE]) map.add(mapping(iova, 1));
    expect(map.entries.map(({ start }) => start)).toEqual([0x1000, 0x2000, 0x3000, 2 ** 52 - 4096]);
  });

  it("holds 65,535 mappings and no more", () => {
    const map = createDmaMap();
    for (let i = 0; i < DMA_MAPPINGS_MAX; i++) {
      map.add({ iova: BigInt(i) * PAGE, size: PAGE, read: true, write: true });
    }
    const more = { ...mapping(1n << 40n, 1), memory: undefined };
    expect(() => map.add(more)).toThrow(refused);
    map.remove(map.exact({ iova: 0n, size: PAGE }));
    map.add(more);
  });

  it("finds a mapping only by its exact range", () => {
    const map = createDmaMap();
    const entry = map.add(mapping(0x10000n, 4));
    expect(map.exact({ iova: 0x10000n, size: 4n * PAGE })).toBe(entry);
    for (const [iova, size] of [
      [0x10000n, PAGE],
      [0x11000n, 3n * PAGE],
      [0xf000n, 5n * PAGE],
      [0x10000n, 0n],
      [-PAGE, PAGE],
      [1n << 70n, PAGE],
      [0x10000n, 8n * PAGE],
    ] as const) {
      expect(() => map.exact({ iova, size })).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_DMA_UNMAP" }),
      );
    }
  });
});

describe("guest memory", () => {
  it("finds every byte of a mapping and none outside", () => {
    const map = createDmaMap();
    const memory = createGuestMemory(map);
    map.add(mapping(0x10000n, 2));
    expect(memory.span(0x10000, 8192, "read").base).toBe(0x10000);
    expect(memory.find(0x11fff, 1, "write")).toBeDefined();
    for (const [iova, length] of [
      [0xffff, 1],
      [0x12000, 1],
      [0x11fff, 2],
      [0x10000, 8193],
      [0x12000, 0],
    ] as const) {
      expect(memory.find(iova, length, "read")).toBeUndefined();
    }
  });

  it.each([
    [Number.NaN, 1],
    [1.5, 1],
    [-1, 1],
    [0x10000, Number.NaN],
    [0x10000, -1],
    [0x10000, 0.5],
    [0x10000, Infinity],
    [2 ** 53, 1],
    [2 ** 52, 1],
    [0x10000, 2 ** 53],
  ])("refuses address %d with length %d", (iova, length) => {
    const map = createDmaMap();
    const memory = createGuestMemory(map);
    map.add(mapping(0x10000n, 1));
    expect(memory.find(iova, length, "read")).toBeUndefined();
    expect(() => memory.span(iova, length, "read")).toThrow(badAddress);
  });

  it("keeps to the direction of a mapping", () => {
    const map = createDmaMap();
    const memory = createGuestMemory(map);
    map.add(mapping(0x1000n, 1, { write: false }));
    map.add(mapping(0x2000n, 1, { read: false }));
    memory.read(0x1000, new Uint8Array(8));
    memory.write(0x2000, new Uint8Array(8));
    expect(() => memory.write(0x1000, new Uint8Array(8))).toThrow(badAddress);
    expect(() => memory.read(0x2000, new Uint8Array(8))).toThrow(badAddress);
    expect(() => memory.span(0x1000, 1, "write")).toThrow(badAddress);
  });

  it("treats a mapping without memory as a hole, and says what to do", () => {
    const map = createDmaMap();
    map.add(mapping(0x1000n, 1, { memory: undefined }));
    expect(() => createGuestMemory(map).span(0x1000, 1, "read")).toThrow("share=on");
  });

  it("tells once of each mapping without memory that somebody reaches for", () => {
    const map = createDmaMap();
    const told: number[] = [];
    const memory = createGuestMemory(map, (iova) => told.push(iova));
    map.add(mapping(0x1000n, 1, { memory: undefined }));
    map.add(mapping(0x2000n, 1));
    const second = map.add(mapping(0x3000n, 1, { memory: undefined }));
    for (const iova of [0x2000, 0x1010, 0x1020, 0x9000, 0x3004]) memory.find(iova, 4, "read");
    expect(told).toEqual([0x1010, 0x3004]);
    map.remove(second);
    map.add(mapping(0x3000n, 1, { memory: undefined }));
    expect(() => memory.read(0x3ff0, new Uint8Array(4))).toThrow("share=on");
    expect(told).toEqual([0x1010, 0x3004, 0x3ff0]);
  });

  it("copies across neighbours, and writes nothing where a hole follows", () => {
    const map = createDmaMap();
    const memory = createGuestMemory(map);
    const [low, high] = [mapping(0x1000n, 1), mapping(0x2000n, 1)];
    map.add(low);
    map.add(high);
    memory.write(0x1ffe, Uint8Array.of(1, 2, 3, 4));
    const back = new Uint8Array(4);
    memory.read(0x1ffe, back);
    expect([...back]).toEqual([1, 2, 3, 4]);
    expect(() => memory.write(0x2ffe, Uint8Array.of(9, 9, 9, 9))).toThrow(badAddress);
    expect([...(high.memory?.bytes.subarray(4094) ?? [])]).toEqual([0, 0]);
    expect(memory.find(0x1ffe, 4, "read")).toBeUndefined();
  });

  it("forgets a removed mapping at once, although it answered last", () => {
    const map = createDmaMap();
    const memory = createGuestMemory(map);
    const entry = map.add(mapping(0x1000n, 1));
    expect(memory.find(0x1000, 1, "read")).toBeDefined();
    map.remove(entry);
    expect(memory.find(0x1000, 1, "read")).toBeUndefined();
    map.add(mapping(0x1000n, 1));
    expect(memory.find(0x1000, 1, "read")?.bytes).not.toBe(entry.span?.bytes);
    map.removeAll();
    expect(memory.find(0x1000, 1, "read")).toBeUndefined();
  });

  it("answers like a naive list of pages through any adding and removing", () => {
    const step = fc.record({
      page: fc.integer({ min: 0, max: 40 }),
      pages: fc.integer({ min: 1, max: 5 }),
      remove: fc.boolean(),
      probe: fc.integer({ min: 0, max: 46 * 4096 }),
      length: fc.integer({ min: 0, max: 3 * 4096 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const map = createDmaMap();
        const memory = createGuestMemory(map);
        const owner = new Map<number, bigint>();
        const sizes = new Map<bigint, number>();
        for (const { page, pages, remove, probe, length } of steps) {
          const iova = BigInt(page) * PAGE;
          const taken = Array.from({ length: pages }, (_, i) => owner.has(page + i)).some(Boolean);
          const size = sizes.get(iova);
          if (remove && size !== undefined) {
            map.remove(map.exact({ iova, size: BigInt(size) * PAGE }));
            for (let i = 0; i < size; i++) owner.delete(page + i);
            sizes.delete(iova);
          } else if (!remove && !taken) {
            map.add(mapping(iova, pages));
            for (let i = 0; i < pages; i++) owner.set(page + i, iova);
            sizes.set(iova, pages);
          } else if (!remove) {
            expect(() => map.add(mapping(iova, pages))).toThrow(refused);
          }
          const first = owner.get(Math.floor(probe / 4096));
          const last = owner.get(Math.floor((probe + Math.max(length, 1) - 1) / 4096));
          const inside = first !== undefined && first === last;
          expect(memory.find(probe, length, "read")?.base).toBe(inside ? Number(first) : undefined);
        }
      }),
      { numRuns: 200 },
    );
  });
});
