import { describe, expect, it } from "vitest";
import type { DmaMapping } from "../device/dma.ts";
import { codeOf, composed } from "../testing/composed.ts";
import { settle } from "../testing/fake-clock.ts";

const mapping: DmaMapping = { iova: 0x10000n, size: 4096n, read: true, write: true };
const range = { iova: mapping.iova, size: mapping.size };
const limits = { baseMs: 700 };

describe("a base that does not answer", () => {
  it("a reset is a named error of the base, and the migration state is lost", async () => {
    const it = await composed({}, { limits });
    it.base.hold.set("reset", Promise.withResolvers<void>().promise);
    const reset = it.device.reset().catch((error: unknown) => error);
    await it.clock.advance(700);
    expect(await reset).toMatchObject({
      code: "ERR_VFMIG_DEVICE_RESET",
      layer: "base",
      message: expect.stringContaining("did not settle a reset within 700 ms"),
      cause: { code: "ERR_VFMIG_BASE_TIMEOUT" },
    });
    expect(it.device.migration?.state).toBe("error");
    it.base.hold.delete("reset");
    await it.device.reset();
    expect([it.device.migration?.state, it.clock.waiting]).toEqual(["running", 0]);
  });

  it("a reset that its sub-driver asked for is bounded too", async () => {
    const it = await composed({}, { limits });
    it.base.hold.set("reset", Promise.withResolvers<void>().promise);
    const code = codeOf(Promise.resolve(it.sub.context?.base.reset()));
    await it.clock.advance(700);
    expect(await code).toBe("ERR_VFMIG_BASE_TIMEOUT");
  });

  it("a mapping fails, stays taken while it may still come, and is undone when it does", async () => {
    const it = await composed({}, { limits });
    const gate = Promise.withResolvers<void>();
    it.base.hold.set("mapDma", gate.promise);
    const mapped = codeOf(Promise.resolve(it.device.mapDma(mapping)));
    await it.clock.advance(700);
    expect(await mapped).toBe("ERR_VFMIG_BASE_TIMEOUT");
    it.base.hold.delete("mapDma");
    expect(() => it.device.mapDma(mapping)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_DMA_MAP" }),
    );
    gate.resolve();
    await settle();
    expect(it.base.calls.filter((call) => call.startsWith("unmapDma"))).toEqual([
      "unmapDma 0x10000",
    ]);
    await it.device.mapDma(mapping);
    expect(it.base.dma.size).toBe(1);
  });

  it("a mapping that fails after all leaves the range free", async () => {
    const it = await composed({}, { limits });
    const gate = Promise.withResolvers<void>();
    it.base.hold.set("mapDma", gate.promise);
    const mapped = codeOf(Promise.resolve(it.device.mapDma(mapping)));
    await it.clock.advance(700);
    await mapped;
    it.base.hold.delete("mapDma");
    gate.reject(new Error("no"));
    await settle();
    await it.device.mapDma(mapping);
    expect(it.base.dma.size).toBe(1);
  });

  it("an unmapping fails, and the range stays taken until the base has let go", async () => {
    const it = await composed({}, { limits });
    await it.device.mapDma(mapping);
    const gate = Promise.withResolvers<void>();
    it.base.hold.set("unmapDma", gate.promise);
    const unmapped = codeOf(Promise.resolve(it.device.unmapDma(range)));
    await it.clock.advance(700);
    expect(await unmapped).toBe("ERR_VFMIG_BASE_TIMEOUT");
    expect(() => it.device.mapDma(mapping)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_DMA_MAP" }),
    );
    it.base.hold.delete("unmapDma");
    gate.resolve();
    await settle();
    await it.device.mapDma(mapping);
  });

  it("private memory that it does not unmap keeps nobody from closing the device", async () => {
    const it = await composed({}, { limits });
    it.sub.context?.dma.allocate(4096);
    it.base.hold.set("unmapDma", Promise.withResolvers<void>().promise);
    const closed = it.device[Symbol.asyncDispose]();
    await it.clock.advance(700);
    await closed;
    expect(it.base.disposed).toBe(true);
    expect(it.logger.lines.join()).toContain("did not settle unmapping private memory");
  });
});
