import { beforeEach, describe, expect, it } from "vitest";
import type { SharedMemory } from "../device/dma.ts";
import { MemoryWatch } from "./memory-watch.ts";

describe("a watch over guest memory", () => {
  const IOVA = 0x10_000;
  let bytes: Uint8Array;
  let told: string[];
  let watch: MemoryWatch;
  let used: SharedMemory;
  let full: number;

  beforeEach(() => {
    bytes = new Uint8Array(4 * 4096);
    told = [];
    full = 0;
    watch = new MemoryWatch(
      (who, iova, data) => told.push(`${who} ${(iova - IOVA).toString()}: ${data.join(" ")}`),
      3,
      () => full++,
    );
    const size = BigInt(bytes.length);
    const mapping = watch.watch({
      iova: BigInt(IOVA),
      size,
      read: true,
      write: true,
      memory: { bytes },
    });
    if (mapping.memory === undefined) throw new Error("no memory");
    used = mapping.memory;
  });

  const use = (at: number, length: number, access: "read" | "write"): void =>
    void used.onUse?.(IOVA + at, length, access);

  it("tells what was there before the device's first look", () => {
    bytes.set([1, 2], 100);
    use(96, 16, "read");
    expect(told).toEqual(["initial 100: 1 2"]);
  });

  it("lays what changed between two looks at the guest's door", () => {
    use(0, 16, "read");
    bytes[4] = 7;
    use(0, 16, "read");
    expect(told).toEqual(["guest 4: 7"]);
  });

  it("lays what changed in the device's turn at the device's door", () => {
    use(0, 16, "write");
    bytes[4] = 7;
    watch.endTurn();
    bytes[5] = 8;
    use(0, 16, "read");
    expect(told).toEqual(["device 4: 7", "guest 5: 8"]);
  });

  it("lays at the guest's door what it writes beside a descriptor in the device's turn", () => {
    use(0, 16, "write");
    bytes[4] = 7;
    bytes[32] = 8;
    watch.endTurn();
    use(32, 16, "read");
    expect(told).toEqual(["device 4: 7", "guest 32: 8"]);
  });

  it("ends the device's turn before other work of the process", async () => {
    use(0, 16, "write");
    bytes[4] = 7;
    await Promise.resolve();
    expect(told).toEqual(["device 4: 7"]);
  });

  it("finds at a doorbell what the guest put into rings, and into buffers that they point to", () => {
    use(0, 16, "read");
    use(4096, 1500, "read");
    bytes[4096] = 9;
    new DataView(bytes.buffer).setBigUint64(8, BigInt(IOVA + 4096), true);
    watch.lookAtRings();
    expect(told.map((line) => line.split(":")[0])).toEqual(["guest 9", "guest 4096"]);
  });

  it("tells changes that lie far apart one by one, and near ones as one", () => {
    use(0, 128, "read");
    bytes[4] = 1;
    bytes[10] = 2;
    bytes[100] = 3;
    use(0, 128, "read");
    expect(told).toEqual(["guest 4: 1 0 0 0 0 0 2", "guest 100: 3"]);
  });

  it("says once that it knows as many pages as it may", () => {
    use(0, 3 * 4096, "read");
    expect(full).toBe(0);
    use(3 * 4096, 1, "read");
    expect(full).toBe(1);
  });

  it("forgets a mapping that goes, after what the device did last", () => {
    use(0, 16, "write");
    bytes[0] = 1;
    watch.forget(IOVA);
    bytes[0] = 2;
    watch.lookAtRings();
    expect(told).toEqual(["device 0: 1"]);
  });

  it("tells nothing any more once it was stopped", () => {
    use(0, 16, "write");
    watch.stop();
    bytes[0] = 1;
    use(0, 16, "read");
    watch.endTurn();
    expect(told).toEqual([]);
  });

  it("takes the user's own word for what it writes", () => {
    use(0, 16, "read");
    bytes.set([5, 6], 4);
    watch.note(IOVA + 4, Uint8Array.of(5, 6));
    use(0, 16, "read");
    expect(told).toEqual(["guest 4: 5 6"]);
  });

  it("lets the user's own watch go on", () => {
    const seen: number[] = [];
    const own: SharedMemory = {
      bytes,
      onUse: (iova) => {
        seen.push(iova);
        return true;
      },
    };
    const mapping = { iova: 0x9_0000n, size: 4096n, read: true, write: true, memory: own };
    const both = watch.watch(mapping).memory;
    both?.onUse?.(0x9_0000, 4, "read");
    expect(seen).toEqual([0x9_0000]);
  });
});
