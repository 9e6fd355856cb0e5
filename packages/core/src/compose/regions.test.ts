import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { RegionFacet, RegionRange } from "../sub-driver/facets.ts";
import { codeOf, composed, migrationOf } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { settle } from "../testing/fake-clock.ts";

/** A facet over bytes of its own, which notes each access. */
class FakeRegion implements RegionFacet {
  readonly index = 0;
  trapped: readonly RegionRange[];
  readonly doorbells: readonly RegionRange[];
  readonly bytes = new Uint8Array(0x4000);
  readonly calls: string[] = [];
  fail: unknown;

  constructor(trapped: readonly RegionRange[], doorbells: readonly RegionRange[] = []) {
    this.trapped = trapped;
    this.doorbells = doorbells;
  }

  read(offset: number, into: Uint8Array): void {
    this.calls.push(`read ${offset}+${into.length}`);
    if (this.fail !== undefined) throw this.fail;
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.calls.push(`write ${offset}+${from.length}=${from.join(",")}`);
    if (this.fail !== undefined) throw this.fail;
    this.bytes.set(from, offset);
  }
}

const never = (): Promise<void> => Promise.withResolvers<void>().promise;

describe("region accesses", () => {
  it.each([
    ["REGION_INDEX", 9, 0, 4],
    ["REGION_INDEX", -1, 0, 4],
    ["REGION_INDEX", 0.5, 0, 4],
    ["REGION_INDEX", Number.NaN, 0, 4],
    ["REGION_RANGE", 0, -1, 4],
    ["REGION_RANGE", 0, 0.5, 4],
    ["REGION_RANGE", 0, Number.NaN, 4],
    ["REGION_RANGE", 0, Infinity, 4],
    ["REGION_RANGE", 0, 2 ** 53, 4],
    ["REGION_RANGE", 0, 0x4000, 1],
    ["REGION_RANGE", 0, 0x3ffd, 4],
    ["REGION_RANGE", 1, 0, 1],
  ])("are refused with ERR_VFMIG_%s for region %d, offset %d, %d bytes", async (code, ...at) => {
    const [index, offset, length] = at;
    const { device, base } = await composed({
      regions: [new FakeRegion([{ offset: 0, size: 8 }])],
    });
    const bytes = new Uint8Array(length);
    const refused = expect.objectContaining({ code: `ERR_VFMIG_${code}` });
    expect(() => device.readRegion(index, offset, bytes)).toThrow(refused);
    expect(() => device.writeRegion(index, offset, bytes)).toThrow(refused);
    expect(base.calls).toEqual([]);
  });

  it("are refused where the region does not allow them", async () => {
    const { device } = await composed();
    device.readRegion(6, 0, new Uint8Array(4));
    expect(() => device.writeRegion(6, 0, new Uint8Array(4))).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_REGION_ACCESS" }),
    );
  });

  it("reach the last byte, and pass with no byte at all", async () => {
    const { device, base } = await composed();
    device.writeRegion(0, 0x3fff, Uint8Array.of(7));
    device.readRegion(0, 0x4000, new Uint8Array(0));
    expect(base.bytes[0]?.[0x3fff]).toBe(7);
  });

  it("go to the sub-driver inside its ranges only, and are split at each border", async () => {
    const facet = new FakeRegion([
      { offset: 16, size: 8 },
      { offset: 24, size: 8 },
      { offset: 64, size: 4 },
    ]);
    const { device, base } = await composed({ regions: [facet] });
    device.writeRegion(
      0,
      12,
      Uint8Array.from({ length: 60 }, (_, i) => i),
    );
    expect(facet.calls.map((call) => call.split("=")[0])).toEqual([
      "write 16+8",
      "write 24+8",
      "write 64+4",
    ]);
    expect(base.calls).toEqual(["writeRegion 0:12+4", "writeRegion 0:32+32", "writeRegion 0:68+4"]);
    const back = new Uint8Array(60);
    device.readRegion(0, 12, back);
    expect([...back]).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });

  it("follow the ranges that a sub-driver replaces at run time", async () => {
    const facet = new FakeRegion([{ offset: 0, size: 4 }]);
    const { device, base } = await composed({ regions: [facet] });
    facet.trapped = [{ offset: 4, size: 4 }];
    device.writeRegion(0, 0, new Uint8Array(8));
    expect(facet.calls).toEqual(["write 4+4=0,0,0,0"]);
    expect(base.calls).toEqual(["writeRegion 0:0+4"]);
  });

  it("name a sub-driver that replaces its ranges by nonsense, and recover with it", async () => {
    const facet = new FakeRegion([{ offset: 0, size: 4 }]);
    const { device } = await composed({ regions: [facet] });
    const sound = facet.trapped;
    facet.trapped = [{ offset: 0x3fff, size: 2 }];
    expect(() => device.readRegion(0, 0, new Uint8Array(4))).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_SUB_DRIVER_ANSWER", layer: "plugin:fake-nic" }),
    );
    facet.trapped = sound;
    device.readRegion(0, 0, new Uint8Array(4));
  });

  it("name the layer that threw", async () => {
    const facet = new FakeRegion([{ offset: 0, size: 4 }]);
    const { device, base } = await composed({ regions: [facet] });
    const read = (offset: number): void => device.readRegion(0, offset, new Uint8Array(4));
    facet.fail = new Error("oops");
    expect(() => read(0)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_SUB_DRIVER_FAILED", layer: "plugin:fake-nic" }),
    );
    facet.fail = new VfmigError("ERR_VFMIG_GUEST_ADDRESS", "bad ring", { layer: "core" });
    expect(() => read(0)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_GUEST_ADDRESS", layer: "plugin:fake-nic" }),
    );
    base.fail.set("readRegion", new Error("bus error"));
    expect(() => read(4)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_BASE_FAILED", layer: "base" }),
    );
    expect(() => device.readRegion(3, 0, new Uint8Array(4))).toThrow(
      expect.objectContaining({ layer: "base" }),
    );
  });

  it("are byte-equal to the base's under a sub-driver that takes nothing over", async () => {
    const { device } = await composed({ migrates: false });
    const plain = new FakeBase();
    const access = fc.record({
      index: fc.integer({ min: -1, max: 10 }),
      offset: fc.oneof(fc.integer({ min: -8, max: 0x4008 }), fc.double()),
      bytes: fc.uint8Array({ maxLength: 64 }),
      write: fc.boolean(),
    });
    const run = (target: Pick<FakeBase, "readRegion" | "writeRegion">, at: Access): string => {
      const into = Uint8Array.from(at.bytes);
      try {
        if (at.write) target.writeRegion(at.index, at.offset, at.bytes);
        else target.readRegion(at.index, at.offset, into);
        return into.join(",");
      } catch (error) {
        return VfmigError.is(error) ? error.code : String(error);
      }
    };
    type Access = typeof access extends fc.Arbitrary<infer T> ? T : never;
    fc.assert(
      fc.property(fc.array(access, { maxLength: 30 }), (all) => {
        for (const one of all) expect(run(device, one)).toBe(run(plain, one));
      }),
    );
  });

  it("see one memory, whichever ranges are trapped", async () => {
    const cut = fc.uniqueArray(fc.integer({ min: 0, max: 256 }), { maxLength: 12 });
    const access = fc.record({
      offset: fc.integer({ min: 0, max: 256 }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(cut, fc.array(access, { maxLength: 20 }), async (cuts, all) => {
        const sorted = cuts.toSorted((a, b) => a - b);
        const trapped: RegionRange[] = [];
        for (let i = 0; i + 1 < sorted.length; i += 2) {
          const [from = 0, to = 0] = sorted.slice(i, i + 2);
          trapped.push({ offset: from, size: to - from });
        }
        const { device } = await composed({ regions: [new FakeRegion(trapped)] });
        const plain = new Uint8Array(0x4000);
        for (const { offset, bytes } of all) {
          device.writeRegion(0, offset, bytes);
          plain.set(bytes, offset);
        }
        const whole = new Uint8Array(0x4000);
        device.readRegion(0, 0, whole);
        expect(Buffer.compare(whole, plain)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe("while an arc runs", () => {
  const trapped = [{ offset: 0, size: 64 }];
  const doorbells = [
    { offset: 16, size: 8 },
    { offset: 32, size: 16 },
  ];

  async function running(facet: FakeRegion): ReturnType<typeof composed> {
    const it = await composed({ regions: [facet] });
    it.sub.duties.set("running->running-p2p", (signal) =>
      Promise.race([
        gate.promise,
        new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve());
        }),
      ]),
    );
    return it;
  }

  let gate = Promise.withResolvers<void>();

  it("accesses, irqs and maps are served at once", async () => {
    gate = Promise.withResolvers();
    const facet = new FakeRegion(trapped);
    const { device, base } = await running(facet);
    const walk = device.migration?.setState("running-p2p");
    await settle();
    device.writeRegion(0, 0, Uint8Array.of(1));
    device.writeRegion(0, 100, Uint8Array.of(2));
    device.readRegion(0, 0, new Uint8Array(1));
    void device.mapDma({ iova: 0n, size: 4096n, read: true, write: true });
    device.setIrqs({
      index: 2,
      start: 0,
      count: 1,
      action: "trigger",
      data: { kind: "event", events: [undefined] },
    });
    expect(facet.calls).toEqual(["write 0+1=1", "read 0+1"]);
    expect(base.calls).toEqual(["writeRegion 0:100+1", "mapDma 0x0", "setIrqs 2:0+1"]);
    gate.resolve();
    await walk;
  });

  it("doorbells are kept, the last value of each, and applied in that order at its end", async () => {
    gate = Promise.withResolvers();
    const facet = new FakeRegion(trapped, doorbells);
    const { device } = await running(facet);
    const walk = device.migration?.setState("running-p2p");
    await settle();
    device.writeRegion(0, 32, Uint8Array.of(1, 0, 0, 0));
    device.writeRegion(0, 16, Uint8Array.of(2, 0, 0, 0));
    device.writeRegion(0, 32, Uint8Array.of(3, 0, 0, 0));
    expect(facet.calls).toEqual([]);
    gate.resolve();
    await walk;
    expect(facet.calls).toEqual(["write 16+4=2,0,0,0", "write 32+4=3,0,0,0"]);
    device.writeRegion(0, 32, Uint8Array.of(9, 0, 0, 0));
    expect(facet.calls.at(-1)).toBe("write 32+4=9,0,0,0");
  });

  it("a write across a doorbell's border is kept in part", async () => {
    gate = Promise.withResolvers();
    const facet = new FakeRegion(trapped, doorbells);
    const { device } = await running(facet);
    const walk = device.migration?.setState("running-p2p");
    await settle();
    device.writeRegion(
      0,
      14,
      Uint8Array.from({ length: 22 }, (_, i) => i),
    );
    expect(facet.calls.map((call) => call.split("=")[0])).toEqual(["write 14+2", "write 24+8"]);
    gate.resolve();
    await walk;
    const bytes = facet.bytes.subarray(14, 36);
    expect([...bytes]).toEqual(Array.from({ length: 22 }, (_, i) => i));
  });

  it("doorbells are applied also when the arc fails, and one that throws is only logged", async () => {
    gate = Promise.withResolvers();
    const facet = new FakeRegion(trapped, doorbells);
    const { device, logger } = await running(facet);
    const walk = codeOf(Promise.resolve(device.migration?.setState("running-p2p")));
    await settle();
    device.writeRegion(0, 16, Uint8Array.of(5));
    facet.fail = new Error("not now");
    gate.reject(new Error("broken"));
    expect(await walk).toBe("ERR_VFMIG_SUB_DRIVER_FAILED");
    expect(facet.calls).toEqual(["write 16+1=5"]);
    expect(logger.lines.some((line) => line.includes("not now"))).toBe(true);
  });

  it("doorbells are dropped by a reset", async () => {
    gate = Promise.withResolvers();
    const facet = new FakeRegion(trapped, doorbells);
    const { device } = await running(facet);
    const walk = codeOf(Promise.resolve(device.migration?.setState("running-p2p")));
    await settle();
    device.writeRegion(0, 16, Uint8Array.of(5));
    await device.reset();
    expect(await walk).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    expect(facet.calls).toEqual([]);
    device.writeRegion(0, 16, Uint8Array.of(6));
    expect(facet.calls).toEqual(["write 16+1=6"]);
  });

  it("doorbells that a reset dropped do not come back with later ones", async () => {
    const facet = new FakeRegion(trapped, doorbells);
    const it = await composed({ regions: [facet] });
    it.sub.duties.set("running->running-p2p", never);
    const walk = codeOf(migrationOf(it).setState("running-p2p"));
    await settle();
    it.device.writeRegion(0, 16, Uint8Array.of(5));
    const reset = it.device.reset();
    await it.clock.advance(1_000);
    await reset;
    expect(await walk).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    const again = Promise.withResolvers<void>();
    it.sub.duties.set("running->running-p2p", () => again.promise);
    const second = migrationOf(it).setState("running-p2p");
    await settle();
    it.device.writeRegion(0, 32, Uint8Array.of(6));
    again.resolve();
    await second;
    expect(facet.calls).toEqual(["write 32+1=6"]);
  });

  it("a reset that comes between two arcs keeps the second from starting", async () => {
    const facet = new FakeRegion(trapped, doorbells);
    const it = await composed({ regions: [facet] });
    const first = Promise.withResolvers<void>();
    it.sub.duties.set("running->running-p2p", () => first.promise);
    const walk = codeOf(migrationOf(it).setState("stop"));
    await settle();
    it.device.writeRegion(0, 16, Uint8Array.of(5));
    // Applied when the first arc has ended and the second has not begun.
    let reset: Promise<void> | undefined;
    facet.write = () => {
      reset = it.device.reset();
    };
    first.resolve();
    expect(await walk).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    await reset;
    expect(it.sub.arcs).toEqual(["running->running-p2p"]);
    expect(migrationOf(it).state).toBe("running");
  });

  it("doorbells are dropped when the device is lost", async () => {
    const facet = new FakeRegion(trapped, doorbells);
    const it = await composed({ regions: [facet] });
    it.sub.duties.set("running->running-p2p", never);
    const walk = codeOf(migrationOf(it).setState("running-p2p"));
    await settle();
    it.device.writeRegion(0, 16, Uint8Array.of(5));
    await it.clock.advance(30_000);
    expect(await walk).toBe("ERR_VFMIG_MIGRATION_TIMEOUT");
    expect(facet.calls).toEqual([]);
  });
});
