import { describe, expect, it } from "vitest";
import type { DmaMapping } from "../device/dma.ts";
import { codeOf, composed } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { settle } from "../testing/fake-clock.ts";

function mapping(iova: bigint, pages = 1): DmaMapping {
  const bytes = new Uint8Array(pages * 4096);
  return { iova, size: BigInt(bytes.length), read: true, write: true, memory: { bytes } };
}

const range = ({ iova, size }: DmaMapping): { iova: bigint; size: bigint } => ({ iova, size });

describe("guest memory of a composed device", () => {
  it("is mapped into the base and seen by the sub-driver, which is told", async () => {
    const it = await composed();
    const seen: bigint[] = [];
    const end = it.sub.context?.onMap(({ iova }) => void seen.push(iova));
    const one = mapping(0x1000n);
    await it.device.mapDma(one);
    expect(it.sub.context?.memory.span(0x1000, 4096, "write").bytes).toBe(one.memory?.bytes);
    end?.();
    await it.device.mapDma(mapping(0x2000n));
    expect(seen).toEqual([0x1000n]);
    expect(it.base.dma.size).toBe(2);
  });

  it("is a hole where it came without a file, and whoever uses it is told the remedy, once", async () => {
    const it = await composed();
    await it.device.mapDma({ ...mapping(0x1000n), memory: undefined });
    for (let i = 0; i < 3; i++)
      expect(it.sub.context?.memory.find(0x1000, 8, "read")).toBe(undefined);
    const told = it.logger.lines.filter((line) => line.includes("share=on"));
    expect(told).toEqual([expect.stringMatching(/^warn: .* 0x1000 .*plugin:.* cannot reach it/)]);
  });

  it("is not mapped anywhere when the base refuses", async () => {
    const it = await composed();
    it.base.fail.set("mapDma", new Error("ENOMEM"));
    expect(() => it.device.mapDma(mapping(0x1000n))).toThrow(
      expect.objectContaining({ layer: "base" }),
    );
    expect(it.sub.context?.memory.find(0x1000, 1, "read")).toBeUndefined();
    it.base.fail.clear();
    await it.device.mapDma(mapping(0x1000n));
  });

  it("is seen only once a slow base has mapped it, and its place is taken meanwhile", async () => {
    const it = await composed();
    const gate = Promise.withResolvers<void>();
    it.base.hold.set("mapDma", gate.promise);
    const mapped = it.device.mapDma(mapping(0x1000n));
    expect(it.sub.context?.memory.find(0x1000, 1, "read")).toBeUndefined();
    expect(() => it.device.mapDma(mapping(0x1000n))).toThrow("overlaps");
    gate.resolve();
    await mapped;
    expect(it.sub.context?.memory.find(0x1000, 1, "read")).toBeDefined();
  });

  it("may be unmapped while a slow base still maps it", async () => {
    const it = await composed();
    const gate = Promise.withResolvers<void>();
    it.base.hold.set("mapDma", gate.promise);
    const one = mapping(0x1000n);
    const mapped = it.device.mapDma(one);
    const unmapped = it.device.unmapDma(range(one));
    gate.resolve();
    await Promise.all([mapped, unmapped]);
    expect(it.base.dma.size).toBe(0);
    expect(it.sub.context?.memory.find(0x1000, 1, "read")).toBeUndefined();
  });

  it("goes in order: sub-driver, its view, base", async () => {
    const it = await composed();
    const one = mapping(0x1000n);
    await it.device.mapDma(one);
    const order: string[] = [];
    const memory = it.sub.context?.memory;
    it.sub.context?.onUnmap(() => {
      order.push(`sub-driver, seen ${memory?.find(0x1000, 1, "read") !== undefined}`);
      order.push(`base ${it.base.dma.size}`);
    });
    const gate = Promise.withResolvers<void>();
    it.base.hold.set("unmapDma", gate.promise);
    const unmapped = it.device.unmapDma(range(one));
    order.push(`then seen ${memory?.find(0x1000, 1, "read") !== undefined}`);
    expect(() => it.device.mapDma(mapping(0x1000n))).toThrow("overlaps");
    gate.resolve();
    await unmapped;
    expect(order).toEqual(["sub-driver, seen true", "base 1", "then seen false"]);
    it.base.hold.clear();
    await it.device.mapDma(mapping(0x1000n));
  });

  it("leaves its place free once a base has unmapped it at once", async () => {
    const it = await composed();
    const one = mapping(0x1000n);
    for (let round = 0; round < 3; round++) {
      await it.device.mapDma(one);
      await it.device.unmapDma(range(one));
    }
    expect(it.base.dma.size).toBe(0);
  });

  it("is unmapped only as exactly what was mapped", async () => {
    const it = await composed();
    await it.device.mapDma(mapping(0x1000n, 2));
    expect(() => it.device.unmapDma({ iova: 0x1000n, size: 4096n })).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_DMA_UNMAP" }),
    );
    expect(it.base.dma.size).toBe(1);
  });

  it("goes even if the sub-driver stumbles over it", async () => {
    const it = await composed();
    const one = mapping(0x1000n);
    await it.device.mapDma(one);
    it.sub.context?.onUnmap(() => {
      throw new Error("confused");
    });
    await it.device.unmapDma(range(one));
    expect(it.base.dma.size).toBe(0);
    expect(it.logger.lines.some((line) => line.includes("confused"))).toBe(true);
  });

  it("is taken back when the sub-driver stumbles over a new mapping", async () => {
    const it = await composed();
    it.sub.context?.onMap(() => {
      throw new Error("confused");
    });
    expect(() => it.device.mapDma(mapping(0x1000n))).toThrow(
      expect.objectContaining({ layer: "plugin:fake-nic" }),
    );
    expect(it.base.dma.size).toBe(0);
  });

  it("stays taken, and can be unmapped again, when the base fails to unmap it", async () => {
    const it = await composed();
    const one = mapping(0x1000n);
    await it.device.mapDma(one);
    it.base.fail.set("unmapDma", new Error("busy"));
    expect(() => it.device.unmapDma(range(one))).toThrow("busy");
    expect(() => it.device.mapDma(one)).toThrow("overlaps");
    it.base.fail.clear();
    await it.device.unmapDma(range(one));
    expect(it.base.dma.size).toBe(0);
  });

  it("can be unmapped as a whole", async () => {
    const it = await composed();
    for (const iova of [0n, 0x1000n, 0x10_0000n]) await it.device.mapDma(mapping(iova));
    await it.device.unmapAllDma();
    expect(it.base.dma.size).toBe(0);
  });
});

describe("private memory", () => {
  it("is zeroed, aligned, mapped into the base, and out of the guest's reach", async () => {
    const it = await composed();
    const buffer = it.sub.context?.dma.allocate(5000);
    if (buffer === undefined) throw new Error("no buffer");
    expect([buffer.iova % 4096, buffer.bytes.length]).toEqual([0, 8192]);
    buffer.data.setUint32(4, 0xdead_beef, true);
    const entry = it.base.dma.exact({ iova: BigInt(buffer.iova), size: 8192n });
    expect(entry.span?.data.getUint32(4, true)).toBe(0xdead_beef);
    expect(it.sub.context?.memory.find(buffer.iova, 1, "read")).toBeUndefined();
    expect(() => it.device.unmapDma({ iova: BigInt(buffer.iova), size: 8192n })).toThrow(
      "nothing is mapped there",
    );
  });

  it("stands at the top of the windows, one buffer below the other", async () => {
    const it = await composed();
    const iovas = [1, 1, 1].map(() => it.sub.context?.dma.allocate(4096).iova);
    expect(iovas).toEqual([1, 2, 3].map((n) => 2 ** 39 - n * 4096));
  });

  it("avoids what the guest has mapped, and windows that are too small", async () => {
    const iovaWindows = [
      { first: 0x10_0000n, last: 0x10_3fffn },
      { first: 0x20_0000n, last: 0x20_0fffn },
    ];
    const it = await composed({}, {}, new FakeBase({ iovaWindows }));
    await it.device.mapDma(mapping(0x10_2000n));
    expect(it.sub.context?.dma.allocate(8192).iova).toBe(0x10_0000);
    expect(it.sub.context?.dma.allocate(4096).iova).toBe(0x20_0000);
    expect(it.sub.context?.dma.allocate(4096).iova).toBe(0x10_3000);
    expect(() => it.sub.context?.dma.allocate(4096)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_DMA_ALLOCATE" }),
    );
  });

  it("is named to a guest that wants its place", async () => {
    const it = await composed();
    const iova = BigInt(it.sub.context?.dma.allocate(4096).iova ?? 0);
    const clash = expect.objectContaining({
      code: "ERR_VFMIG_DMA_MAP",
      message: expect.stringContaining("private memory of plugin:fake-nic"),
    });
    expect(() => it.device.mapDma(mapping(iova))).toThrow(clash);
    expect(() => it.device.mapDma(mapping(iova - 4096n, 2))).toThrow(clash);
  });

  it("is given back, and its place is free then", async () => {
    const disposed: number[] = [];
    const allocateMemory = (bytes: number) => ({
      bytes: new Uint8Array(bytes),
      [Symbol.dispose]: () => void disposed.push(bytes),
    });
    const it = await composed({}, { allocateMemory });
    const buffer = it.sub.context?.dma.allocate(4096);
    buffer?.[Symbol.dispose]();
    buffer?.[Symbol.dispose]();
    await settle();
    expect(disposed).toEqual([4096]);
    expect(it.base.dma.size).toBe(0);
    expect(it.sub.context?.dma.allocate(4096).iova).toBe(buffer?.iova);
  });

  it.each([0, -1, Number.NaN, 0.5, 2 ** 31, 2 ** 53])(
    "is refused in a size of %d",
    async (size) => {
      const it = await composed();
      expect(() => it.sub.context?.dma.allocate(size)).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_DMA_ALLOCATE" }),
      );
    },
  );

  it("of the wrong size from the host is refused and returned", async () => {
    let disposed = 0;
    const allocateMemory = () => ({
      bytes: new Uint8Array(1),
      [Symbol.dispose]: () => void (disposed += 1),
    });
    const it = await composed({}, { allocateMemory });
    expect(() => it.sub.context?.dma.allocate(4096)).toThrow("1 bytes");
    expect(disposed).toBe(1);
  });

  it("that a slow base cannot map fails the attachment", async () => {
    const base = new FakeBase();
    base.hold.set("mapDma", Promise.reject(new Error("remote refuses")));
    const code = codeOf(
      composed({ attach: (context) => void context.dma.allocate(4096) }, {}, base),
    );
    expect(await code).toBe("ERR_VFMIG_BASE_FAILED");
  });
});
