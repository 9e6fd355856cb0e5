import { describe, expect, it } from "vitest";
import type { DmaMapping } from "../device/dma.ts";
import { createGuestMemory } from "./create-guest-memory.ts";
import { createDmaMap } from "./dma-map.ts";
import { createReachableMemory } from "./reachable-memory.ts";

const PAGE = 4096;

function local(iova: number, more: Partial<DmaMapping> = {}): DmaMapping {
  const memory = { bytes: new Uint8Array(PAGE) };
  return { iova: BigInt(iova), size: BigInt(PAGE), read: true, write: true, memory, ...more };
}

/** A page that only messages reach. */
function remote(iova: number, page: Uint8Array, more: Partial<DmaMapping> = {}): DmaMapping {
  return {
    ...local(iova),
    memory: undefined,
    remote: {
      read: async (at, into) => into.set(page.subarray(Number(at) - iova).subarray(0, into.length)),
      write: async (at, from) => page.set(from, Number(at) - iova),
    },
    ...more,
  };
}

const refused = expect.objectContaining({ code: "ERR_VFMIG_GUEST_ADDRESS" });

describe("memory that a device reaches wherever it is", () => {
  it("copies at once where all of it came with memory", () => {
    const map = createDmaMap();
    map.add(local(0x1000));
    map.add(local(0x2000));
    const memory = createReachableMemory(map);
    expect(memory.write(0x1ffe, Uint8Array.of(1, 2, 3, 4))).toBeUndefined();
    const into = new Uint8Array(4);
    expect(memory.read(0x1ffe, into)).toBeUndefined();
    expect([...into]).toEqual([1, 2, 3, 4]);
  });

  it("sends messages for the part without memory, and copies the rest", async () => {
    const map = createDmaMap();
    const page = new Uint8Array(PAGE);
    map.add(local(0x1000));
    map.add(remote(0x2000, page));
    map.add(local(0x3000));
    const memory = createReachableMemory(map);
    const data = Uint8Array.from({ length: PAGE + 4 }, (_, i) => i % 251);
    await memory.write(0x1ffe, data);
    expect(page).toEqual(data.subarray(2, PAGE + 2));
    const into = new Uint8Array(PAGE + 4);
    await memory.read(0x1ffe, into);
    expect(into).toEqual(data);
  });

  it("tells beforehand how a range would be reached", () => {
    const map = createDmaMap();
    map.add(local(0x1000));
    map.add(remote(0x2000, new Uint8Array(PAGE), { write: false }));
    const memory = createReachableMemory(map);
    expect(memory.way(0x1000, PAGE, "write")).toBe("copy");
    expect(memory.way(0x1fff, 2, "read")).toBe("messages");
    expect(memory.way(0x1fff, 2, "write")).toBeUndefined();
    expect(memory.way(0x2fff, 2, "read")).toBeUndefined();
    expect(memory.way(-1, 2, "read")).toBeUndefined();
    expect(memory.way(0x1000, Number.NaN, "read")).toBeUndefined();
  });

  it.each([
    ["a hole behind", 0x2ff0, 32, "read"],
    ["a hole before", 0x0ff0, 32, "read"],
    ["a negative address", -1, 1, "read"],
    ["a NaN", Number.NaN, 1, "write"],
    ["memory that must not be written", 0x2000, 1, "write"],
  ] as const)("refuses %s before anything is copied", (_name, iova, length, access) => {
    const map = createDmaMap();
    const page = new Uint8Array(PAGE);
    map.add(local(0x1000));
    map.add(remote(0x2000, page, { write: false }));
    const memory = createReachableMemory(map);
    expect(() => memory[access](iova, new Uint8Array(length).fill(7))).toThrow(refused);
    expect(page.every((byte) => byte === 0)).toBe(true);
  });

  it("refuses the rest of a range that goes away while a message is answered", async () => {
    const map = createDmaMap();
    const gate = Promise.withResolvers<void>();
    const slow = { read: () => gate.promise, write: () => gate.promise };
    map.add(remote(0x1000, new Uint8Array(0), { remote: slow }));
    const behind = map.add(local(0x2000));
    const reading = createReachableMemory(map).read(0x1ff0, new Uint8Array(32));
    map.remove(behind);
    gate.resolve();
    await expect(reading).rejects.toThrow(refused);
  });
});

describe("memory that asks to be told of its use", () => {
  it("is told of each use until it is content, and then no longer", () => {
    const uses: number[] = [];
    const map = createDmaMap();
    const onUse = (iova: number): boolean => uses.push(iova) === 2;
    map.add(local(0x1000, { memory: { bytes: new Uint8Array(PAGE), onUse } }));
    const memory = createGuestMemory(map);
    for (const iova of [0x1010, 0x1020, 0x1030, 0x1040]) memory.read(iova, new Uint8Array(4));
    expect(uses).toEqual([0x1010, 0x1020]);
  });
});
