import { describe, expect, it } from "vitest";
import { compose } from "./compose.ts";
import { codeOf, composed, migrationOf, readAll } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { FakeSubDriver } from "../testing/fake-sub-driver.ts";

const never = (): Promise<never> => Promise.withResolvers<never>().promise;

const whole = { offset: 0, size: 0x4000 };
const facet = { index: 0, trapped: [], read() {}, write() {} };

describe("composing", () => {
  it("says who drives the device", async () => {
    const { device } = await composed({}, { integrity: "sha512-abc" });
    expect(device.info.identity).toMatchObject({
      device: "nic0",
      base: { name: "fake", version: "1.0.0" },
      driver: {
        name: "fake-nic",
        version: "1.2.3",
        integrity: "sha512-abc",
        privileges: ["pf-register: QTX_HEAD"],
      },
    });
  });

  it("gives a sub-driver nothing of the base but accesses and reset", async () => {
    const { sub } = await composed();
    const base = Object.keys(sub.context?.base ?? {}).toSorted();
    expect(base).toEqual(["info", "readRegion", "reset", "writeRegion"]);
    expect(Object.isFrozen(sub.context)).toBe(true);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("no mailbox")), "ERR_VFMIG_SUB_DRIVER_FAILED"],
    ["answers nothing", async () => undefined, "ERR_VFMIG_SUB_DRIVER_ANSWER"],
    [
      "gives what it did not declare",
      async () => ({ close() {} }),
      "ERR_VFMIG_PLUGIN_FACET_MISSING",
    ],
  ])("undoes everything when attach %s", async (_, attach, code) => {
    const base = new FakeBase();
    const definition = new FakeSubDriver().definition;
    const composing = compose(base, {
      ...definition,
      // @ts-expect-error a sub-driver in JavaScript may answer anything
      attach(context) {
        context.dma.allocate(4096);
        context.interrupts.intercept(2, 0, () => {});
        return attach();
      },
    });
    expect(await codeOf(composing)).toBe(code);
    expect(base.dma.size).toBe(0);
    expect(base.irqs.enabled(2)).toBe(0);
    expect(base.disposed).toBe(false);
  });

  it("bounds an attach that never settles, and closes what comes too late", async () => {
    const clock = new FakeClock();
    const sub = new FakeSubDriver();
    const gate = Promise.withResolvers<void>();
    const definition = new FakeSubDriver({
      attach: () => gate.promise,
      close: async () => void sub.calls.push("close"),
    }).definition;
    const code = codeOf(compose(new FakeBase(), definition, { clock }));
    await clock.advance(30_000);
    expect(await code).toBe("ERR_VFMIG_SUB_DRIVER_TIMEOUT");
    gate.resolve();
    await settle();
    expect(sub.calls).toEqual(["close"]);
  });

  it.each([
    ["a region that the base lacks", { ...facet, index: 1 }],
    ["a region beyond the last", { ...facet, index: 9 }],
    [
      "ranges that overlap",
      {
        ...facet,
        trapped: [
          { offset: 0, size: 8 },
          { offset: 4, size: 8 },
        ],
      },
    ],
    [
      "ranges in the wrong order",
      {
        ...facet,
        trapped: [
          { offset: 8, size: 8 },
          { offset: 0, size: 8 },
        ],
      },
    ],
    ["a range beyond the region", { ...facet, trapped: [{ offset: 0x3ff8, size: 16 }] }],
    ["an empty range", { ...facet, trapped: [{ offset: 0, size: 0 }] }],
    ["no ranges at all", { ...facet, trapped: undefined }],
    [
      "a doorbell outside its ranges",
      { ...facet, trapped: [{ offset: 0, size: 8 }], doorbells: [{ offset: 4, size: 8 }] },
    ],
    ["an unaligned area", { ...facet, mmap: { runtime: [{ offset: 1, size: 4096 }], saving: [] } }],
    [
      "an area beyond the region",
      { ...facet, mmap: { runtime: [], saving: [{ offset: 0x3000, size: 0x2000 }] } },
    ],
    [
      "an area that the base does not map",
      { ...facet, index: 7, mmap: { runtime: [{ offset: 0, size: 4096 }], saving: [] } },
    ],
    ["no functions", { ...facet, read: 7 }],
  ])("refuses a facet with %s", async (_, region) => {
    // @ts-expect-error a sub-driver in JavaScript may answer anything
    const composing = composed({ regions: [region] });
    await expect(composing).rejects.toMatchObject({
      code: "ERR_VFMIG_SUB_DRIVER_ANSWER",
      layer: "plugin:fake-nic",
    });
  });

  it("refuses two facets for one region", async () => {
    await expect(composed({ regions: [facet, facet] })).rejects.toThrow("at most one facet");
  });
});

describe("mapping layouts", () => {
  const mmap = {
    runtime: [{ offset: 0, size: 0x2000 }],
    saving: [{ offset: 0x1000, size: 0x1000 }],
  };
  const areas = (it: Awaited<ReturnType<typeof composed>>): unknown =>
    it.device.info.regions[0]?.mmap?.areas;

  it("are the base's where nothing is trapped or declared", async () => {
    const it = await composed();
    expect(areas(it)).toEqual([whole]);
    expect(it.device.info.regions).toEqual(it.base.info.regions);
  });

  it("leave out every page with a trapped byte where none is declared", async () => {
    const trapped = [
      { offset: 0x1ffe, size: 4 },
      { offset: 0x3000, size: 4 },
    ];
    const it = await composed({ regions: [{ ...facet, trapped }] });
    expect(areas(it)).toEqual([{ offset: 0, size: 0x1000 }]);
  });

  it("change with the saving session, and back", async () => {
    const it = await composed({ regions: [{ ...facet, mmap }] });
    expect(areas(it)).toEqual(mmap.runtime);
    for (const [state, phase] of [
      ["pre-copy", "saving"],
      ["stop-copy", "saving"],
      ["stop", "runtime"],
      ["resuming", "runtime"],
    ] as const) {
      await migrationOf(it).setState(state);
      expect(areas(it)).toEqual(mmap[phase]);
    }
    await it.device.reset();
    await migrationOf(it).setState("pre-copy");
    await it.device.reset();
    expect(areas(it)).toEqual(mmap.runtime);
  });

  it("are those of saving from the moment that the session starts to open", async () => {
    const it = await composed({ regions: [{ ...facet, mmap }] });
    const gate = Promise.withResolvers<void>();
    it.sub.duties.set("running->pre-copy", () => gate.promise);
    const walk = codeOf(migrationOf(it).setState("pre-copy"));
    await settle();
    expect(() => it.device.noteMapping(0, { offset: 0, size: 0x1000 })).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_MAPPING_REFUSED" }),
    );
    gate.reject(new Error("broken"));
    await walk;
    expect(areas(it)).toEqual(mmap.runtime);
    it.device.noteMapping(0, { offset: 0, size: 0x1000 });
  });

  it("refuse saving while an area is mapped that it must not be, and name it", async () => {
    const it = await composed({ regions: [{ ...facet, mmap }] });
    const fine = it.device.noteMapping(0, { offset: 0x1000, size: 0x1000 });
    const bad = it.device.noteMapping(0, { offset: 0, size: 0x2000 });
    for (const state of ["pre-copy", "stop-copy"] as const) {
      const change = migrationOf(it).setState(state);
      await expect(change).rejects.toMatchObject({
        code: "ERR_VFMIG_MAPPING_CONFLICT",
        message: expect.stringContaining("region 0 is still mapped at 0x0+0x2000"),
      });
    }
    expect([it.sub.arcs, migrationOf(it).state]).toEqual([[], "running"]);
    await migrationOf(it).setState("running-p2p");
    bad[Symbol.dispose]();
    await migrationOf(it).setState("stop-copy");
    fine[Symbol.dispose]();
  });

  it.each([
    [0, { offset: 0x2000, size: 0x1000 }],
    [0, { offset: 0, size: 0x3000 }],
    [0, { offset: 0, size: 0 }],
    [0, { offset: Number.NaN, size: 4096 }],
    [7, { offset: 0, size: 4096 }],
    [99, { offset: 0, size: 4096 }],
  ])("refuse a mapping of region %i at %o", async (index, area) => {
    const it = await composed({ regions: [{ ...facet, mmap }] });
    expect(() => it.device.noteMapping(index, area)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_MAPPING_REFUSED" }),
    );
  });

  it("can leave a region without any mappable area", async () => {
    const it = await composed({ regions: [{ ...facet, mmap: { runtime: [], saving: [] } }] });
    expect(it.device.info.regions[0]?.mmap).toBeUndefined();
  });

  it("are those of saving while writes are logged, too", async () => {
    const dirtyTracking = { start: async () => 4096, async stop() {}, readAndClear() {} };
    const it = await composed({ regions: [{ ...facet, mmap }], dirtyTracking });
    const bad = it.device.noteMapping(0, { offset: 0, size: 0x1000 });
    const start = (): Promise<string> =>
      codeOf(Promise.resolve(it.device.dmaLogging?.start({ pageSize: 4096, ranges: [] })));
    expect(await start()).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    bad[Symbol.dispose]();
    expect(await start()).toBe("none");
    expect(areas(it)).toEqual(mmap.saving);
    await it.device.dmaLogging?.stop();
    expect(areas(it)).toEqual(mmap.runtime);
  });
});

describe("description", () => {
  it("is the sub-driver's, and compared with the source's before anything stops", async () => {
    const [source, target] = [await composed(), await composed()];
    target.sub.queues = 2;
    const described = await source.device.description.describe();
    expect(described.uses).toEqual({ queues: 4 });
    const reasons = await target.device.description.compare(described);
    expect(reasons.map(({ field }) => field)).toEqual(["queues"]);
    expect(await source.device.description.compare(described)).toEqual([]);
    expect(migrationOf(source).state).toBe("running");
  });

  it.each([undefined, {}, { driver: { name: "other", version: "1" } }])(
    "of the form %o is refused",
    async (answer) => {
      // @ts-expect-error a sub-driver in JavaScript may answer anything
      const it = await composed({ describe: async () => answer });
      await expect(it.device.description.describe()).rejects.toMatchObject({
        code: "ERR_VFMIG_SUB_DRIVER_ANSWER",
      });
      await expect(migrationOf(it).setState("stop-copy")).rejects.toThrow("describe()");
      expect(migrationOf(it).state).toBe("stop");
    },
  );

  it("that never comes is bounded", async () => {
    const it = await composed({ describe: never });
    const code = codeOf(it.device.description.describe());
    await it.clock.advance(10_000);
    expect(await code).toBe("ERR_VFMIG_SUB_DRIVER_TIMEOUT");
  });

  it("of a sub-driver without one says at least who it is", async () => {
    const sub = new FakeSubDriver({ migrates: false });
    const device = await compose(new FakeBase(), {
      ...sub.definition,
      attach: () => ({ close: async () => {} }),
    });
    expect(await device.description.describe()).toMatchObject({
      driver: { name: "fake-nic", version: "1.2.3" },
      device: { vendor: 0x8086, device: 0x154c },
    });
  });
});

describe("status", () => {
  it("is what the sub-driver says, or nothing", async () => {
    const silent = await composed();
    const chatty = await composed({ status: () => ({ rings: 4 }) });
    expect(silent.device.driverStatus()).toEqual({});
    expect(chatty.device.driverStatus()).toEqual({ rings: 4 });
  });

  it("that is nonsense is refused", async () => {
    // @ts-expect-error a sub-driver in JavaScript may answer anything
    const it = await composed({ status: () => 7 });
    expect(() => it.device.driverStatus()).toThrow("status()");
  });
});

describe("closing", () => {
  it("goes session, log, mappings, irqs, sub-driver, private memory, base", async () => {
    const order: string[] = [];
    const dirtyTracking = {
      start: async () => 4096,
      stop: async () => void order.push("log"),
      readAndClear() {},
    };
    const it = await composed({ dirtyTracking, close: async () => void order.push("sub-driver") });
    const base = it.base.calls;
    base.push = (...calls: string[]) => order.push(...calls);
    it.sub.context?.dma.allocate(4096);
    it.sub.context?.interrupts.intercept(2, 0, () => {});
    await it.device.mapDma({ iova: 0n, size: 4096n, read: true, write: true });
    await it.device.dmaLogging?.start({ pageSize: 4096, ranges: [] });
    await migrationOf(it).setState("stop-copy");
    const read = readAll(it);
    await read;
    order.length = 0;
    await it.device[Symbol.asyncDispose]();
    expect(order).toEqual([
      "log",
      "unmapDma 0x0",
      "setIrqs 2:0+0",
      "sub-driver",
      `unmapDma 0x${(2 ** 39 - 4096).toString(16)}`,
      "dispose",
    ]);
    expect(await codeOf(migrationOf(it).readData(new Uint8Array(1)))).toBe(
      "ERR_VFMIG_MIGRATION_SESSION",
    );
  });

  it("does every step even if all of them fail, and names each", async () => {
    const dirtyTracking = {
      start: async () => 4096,
      stop: () => Promise.reject(new Error("log fails")),
      readAndClear() {},
    };
    const it = await composed({
      dirtyTracking,
      close: () => Promise.reject(new Error("close fails")),
    });
    await it.device.mapDma({ iova: 0n, size: 4096n, read: true, write: true });
    it.sub.context?.interrupts.intercept(2, 0, () => {});
    await it.device.dmaLogging?.start({ pageSize: 4096, ranges: [] });
    for (const call of ["unmapDma", "setIrqs", "dispose"]) {
      it.base.fail.set(call, new Error(`${call} fails`));
    }
    await expect(it.device[Symbol.asyncDispose]()).rejects.toMatchObject({
      code: "ERR_VFMIG_DEVICE_CLOSE",
      message: expect.stringMatching(
        /logging: .*log fails.*mappings: .*unmapDma fails.*irqs: .*setIrqs fails.*sub-driver: .*close fails.*base: .*dispose fails/u,
      ),
    });
  });

  it("cancels a running arc and a sub-driver that does not let go", async () => {
    const it = await composed({ close: never });
    it.sub.duties.set("running->running-p2p", never);
    const walk = codeOf(migrationOf(it).setState("stop"));
    await settle();
    const closed = codeOf(Promise.resolve(it.device[Symbol.asyncDispose]()));
    expect(await walk).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    await it.clock.advance(1_000);
    await it.clock.advance(10_000);
    expect(await closed).toBe("ERR_VFMIG_DEVICE_CLOSE");
    expect(it.base.disposed).toBe(true);
  });

  it("happens once, and nothing works afterwards", async () => {
    const it = await composed();
    const { context } = it.sub;
    await it.device[Symbol.asyncDispose]();
    await it.device[Symbol.asyncDispose]();
    expect(it.base.calls.filter((call) => call === "dispose")).toHaveLength(1);
    const bytes = new Uint8Array(4);
    const closed = expect.objectContaining({ code: "ERR_VFMIG_DEVICE_CLOSED" });
    const { device } = it;
    expect(() => device.readRegion(0, 0, bytes)).toThrow(closed);
    expect(() => device.writeRegion(0, 0, bytes)).toThrow(closed);
    expect(() => device.driverStatus()).toThrow(closed);
    expect(() => device.noteMapping(0, whole)).toThrow(closed);
    expect(() => context?.base.readRegion(0, 0, bytes)).toThrow(closed);
    expect(() => context?.interrupts.intercept(2, 0, () => {})).toThrow(closed);
    expect(() => context?.dma.allocate(4096)).toThrow("closed");
    expect(await codeOf(device.reset())).toBe("ERR_VFMIG_DEVICE_CLOSED");
    expect(await codeOf(migrationOf(it).setState("stop"))).toBe("ERR_VFMIG_DEVICE_CLOSED");
    expect(await codeOf(migrationOf(it).dataSize())).toBe("ERR_VFMIG_DEVICE_CLOSED");
  });
});
