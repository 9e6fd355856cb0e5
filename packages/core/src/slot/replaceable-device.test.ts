import { describe, expect, test } from "vitest";
import { PCI_REGION } from "../device/info.ts";
import type { IrqEvent } from "../device/irqs.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { codeOf, composed, type Composed } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import type { FakeSubDriverParts } from "../testing/fake-sub-driver.ts";
import type { Arc } from "../migration/states.ts";
import { createReplaceableDevice, type ReplaceableDevice } from "./replaceable-device.ts";

const RAM = { iova: 0x10_0000n, size: 0x2000n, read: true, write: true };

interface Rig {
  readonly old: Composed;
  readonly next: Composed;
  readonly slot: ReplaceableDevice;
  readonly windows: boolean[];
}

async function rig(parts: FakeSubDriverParts = {}, base = new FakeBase()): Promise<Rig> {
  const old = await composed(parts);
  const next = await composed(parts, {}, base);
  const windows: boolean[] = [];
  const slot = createReplaceableDevice(old.device, {
    clock: old.clock,
    logger: old.logger,
    onWindow: (open) => windows.push(open),
  });
  return { old, next, slot, windows };
}

function listener(): IrqEvent & { count: number } {
  return {
    count: 0,
    signal() {
      this.count += 1;
    },
  };
}

function listen(slot: ReplaceableDevice, event: IrqEvent, vector = 0): void {
  const data = { kind: "event", events: [event] } as const;
  slot.setIrqs({ index: 2, start: vector, count: 1, action: "trigger", data });
}

/** Holds `arc` of a device until the answer is called, and tells when it is reached. */
function hold({ sub }: Composed, arc: Arc): { reached: Promise<void>; go: () => void } {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  sub.duties.set(arc, async () => {
    reached.resolve();
    await go.promise;
  });
  return { reached: reached.promise, go: go.resolve };
}

describe("a device that takes another's place", () => {
  test("gets its state, its mappings, its interrupts and its configuration space", async () => {
    const { old, next, slot, windows } = await rig();
    void slot.mapDma(RAM);
    const event = listener();
    listen(slot, event, 1);
    slot.writeRegion(PCI_REGION.CONFIG, 4, Uint8Array.of(6, 0));
    slot.writeRegion(PCI_REGION.CONFIG, 0x10, Uint8Array.of(0, 0, 0xc0, 0xfe));
    const outcome = await slot.replace(next.device);
    expect(slot.current).toBe(next.device);
    expect(next.sub.loaded).toEqual([{ type: "registers", value: { a: 1 } }]);
    expect(next.base.dma.exact(RAM).mapping.size).toBe(RAM.size);
    expect(next.base.raise(2, 1)).toBe(true);
    expect(event.count).toBe(1);
    expect(next.base.bytes[7]?.subarray(4, 6)).toEqual(Uint8Array.from([6, 0]));
    expect(next.base.bytes[7]?.subarray(0x10, 0x14)).toEqual(Uint8Array.from([0, 0, 0xc0, 0xfe]));
    expect(old.base.disposed).toBe(true);
    expect(old.base.dma.entries).toHaveLength(0);
    expect(windows).toEqual([true, false]);
    expect(outcome.stateBytes).toBeGreaterThan(outcome.earlyBytes);
    expect(slot.migration?.state).toBe("running");
    expect(slot.asyncRegions).toBe(undefined);
  });

  test("gets early state before the old one stops, and never runs beside it", async () => {
    const { old, next, slot } = await rig();
    const order: string[] = [];
    for (const [name, { sub }] of [
      ["old", old],
      ["next", next],
    ] as const) {
      for (const arc of sub.definition.capabilities.migration ? ARCS : []) {
        sub.duties.set(arc, async () => void order.push(`${name} ${arc}`));
      }
    }
    await slot.replace(next.device);
    expect(order.indexOf("next stop->resuming")).toBeLessThan(
      order.indexOf("old running->pre-copy"),
    );
    expect(order.indexOf("old pre-copy-p2p->stop-copy")).toBeLessThan(
      order.indexOf("next resuming->stop"),
    );
    expect(order.at(-1)).toBe("next running-p2p->running");
  });

  test("works without pre-copy and without p2p as well", async () => {
    const { next, slot } = await rig({ preCopy: false, p2p: false });
    const { earlyBytes, stateBytes } = await slot.replace(next.device);
    expect(earlyBytes).toBe(0);
    expect(stateBytes).toBeGreaterThan(0);
  });

  test("can be replaced by another in turn, a hundred times", async () => {
    const { slot } = await rig();
    const event = listener();
    void slot.mapDma(RAM);
    listen(slot, event);
    for (let n = 1; n <= 100; n++) {
      const next = await composed();
      await slot.replace(next.device);
      expect(next.base.raise(2, 0)).toBe(true);
      expect(event.count).toBe(n);
    }
  });
});

const ARCS: readonly Arc[] = [
  "running->pre-copy",
  "pre-copy->pre-copy-p2p",
  "pre-copy-p2p->stop-copy",
  "running->running-p2p",
  "running-p2p->stop",
  "stop->resuming",
  "resuming->stop",
  "stop->running-p2p",
  "running-p2p->running",
];

describe("while a device is being replaced", () => {
  test("accesses wait in the window only, and reach the new device in their order", async () => {
    const { old, next, slot } = await rig();
    const ahead = hold(old, "running->pre-copy");
    const stop = hold(old, "pre-copy-p2p->stop-copy");
    const done = slot.replace(next.device);
    await ahead.reached;
    expect(slot.asyncRegions).toBe(undefined);
    slot.writeRegion(0, 0, Uint8Array.of(1));
    expect(old.base.bytes[0]?.[0]).toBe(1);
    ahead.go();
    await stop.reached;
    expect(() => slot.readRegion(0, 0, new Uint8Array(1))).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_REPLACE_WAITING" }),
    );
    const into = new Uint8Array(1);
    const region = slot.asyncRegions?.get(0);
    if (region === undefined) throw new Error("no gate is closed");
    const accesses = [
      region.write(4, Uint8Array.of(7)),
      region.write(4, Uint8Array.of(8)),
      region.read(4, into),
    ];
    stop.go();
    await done;
    await Promise.all(accesses);
    expect(into[0]).toBe(8);
    expect(old.base.bytes[0]?.[4]).toBe(0);
  });

  test("a mapping made ahead of the window is on both, and one made in it on the new device", async () => {
    const { old, next, slot } = await rig();
    const ahead = hold(old, "running->pre-copy");
    const stop = hold(old, "pre-copy-p2p->stop-copy");
    void slot.mapDma(RAM);
    const done = slot.replace(next.device);
    await ahead.reached;
    void slot.mapDma({ ...RAM, iova: 0x20_0000n });
    await slot.unmapDma(RAM);
    expect(next.base.calls.filter((call) => call.includes("Dma"))).toEqual([
      "mapDma 0x100000",
      "mapDma 0x200000",
      "unmapDma 0x100000",
    ]);
    ahead.go();
    await stop.reached;
    const late = slot.mapDma({ ...RAM, iova: 0x30_0000n });
    expect(old.base.calls).not.toContain("mapDma 0x300000");
    stop.go();
    await done;
    await late;
    expect(next.base.dma.entries.map(({ start }) => start)).toEqual([0x20_0000, 0x30_0000]);
  });

  test("a mapping that the old device is still making reaches the new one before it runs", async () => {
    const { old, next, slot, windows } = await rig();
    const slow = Promise.withResolvers<void>();
    old.base.hold.set("mapDma", slow.promise);
    const mapped = slot.mapDma(RAM);
    const done = slot.replace(next.device);
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(windows).toEqual([true]);
    expect(old.sub.arcs).not.toContain("pre-copy-p2p->stop-copy");
    slow.resolve();
    await mapped;
    await done;
    expect(next.base.dma.exact(RAM).mapping.size).toBe(RAM.size);
  });

  test("interrupts that the user changes are the new device's too", async () => {
    const { old, next, slot } = await rig();
    const replay = hold(next, "resuming->stop");
    const [first, second] = [listener(), listener()];
    listen(slot, first);
    const done = slot.replace(next.device);
    await replay.reached;
    listen(slot, second);
    replay.go();
    await done;
    next.base.raise(2, 0);
    expect([first.count, second.count]).toEqual([0, 1]);
    expect(old.base.raise(2, 0)).toBe(false);
  });

  test("a change of state and a log wait, and go to the new device", async () => {
    const { old, next, slot } = await rig();
    const stop = hold(old, "pre-copy-p2p->stop-copy");
    const done = slot.replace(next.device);
    await stop.reached;
    expect(slot.migration?.state).toBe("running");
    const stopped = slot.migration?.setState("stop");
    stop.go();
    await done;
    await stopped;
    expect(next.device.migration?.state).toBe("stop");
  });

  test("a reset ends the replacement and resets the device that was there", async () => {
    const { old, next, slot } = await rig();
    const stop = hold(old, "pre-copy-p2p->stop-copy");
    const done = codeOf(slot.replace(next.device));
    await stop.reached;
    const reset = slot.reset();
    stop.go();
    expect(await done).toBe("ERR_VFMIG_REPLACE_FAILED");
    await reset;
    expect(slot.current).toBe(old.device);
    expect(old.base.calls).toContain("reset");
    expect(next.base.disposed).toBe(true);
  });

  test("closing ends it and closes both", async () => {
    const { old, next, slot } = await rig();
    const stop = hold(old, "pre-copy-p2p->stop-copy");
    const done = codeOf(slot.replace(next.device));
    await stop.reached;
    const closed = slot[Symbol.asyncDispose]();
    stop.go();
    expect(await done).toBe("ERR_VFMIG_REPLACE_FAILED");
    await closed;
    expect([old.base.disposed, next.base.disposed]).toEqual([true, true]);
  });

  test("no second one begins", async () => {
    const { old, next, slot } = await rig();
    const stop = hold(old, "pre-copy-p2p->stop-copy");
    const done = slot.replace(next.device);
    await stop.reached;
    const third = await composed();
    expect(await codeOf(slot.replace(third.device))).toBe("ERR_VFMIG_REPLACE_BUSY");
    expect(third.base.disposed).toBe(true);
    stop.go();
    await done;
  });
});

describe("a replacement that fails", () => {
  const planted = new VfmigError("ERR_VFMIG_BASE_FAILED", "planted", { layer: "plugin:fake-nic" });
  const steps: readonly (readonly [string, (rig: Rig) => void])[] = [
    ["the new device takes no mapping", ({ next }) => next.base.fail.set("mapDma", planted)],
    ["the new device does not begin to load", ({ next }) => fail(next, "stop->resuming")],
    ["the old device gives no early state", ({ old }) => fail(old, "running->pre-copy")],
    ["the old device does not stop", ({ old }) => fail(old, "pre-copy-p2p->stop-copy")],
    [
      "the new device refuses the state",
      ({ next }) => {
        next.sub.onRecord = () => Promise.reject(planted);
      },
    ],
    ["the new device takes no interrupts", ({ next }) => next.base.fail.set("setIrqs", planted)],
    [
      "the new device takes no configuration",
      ({ next }) => next.base.fail.set("writeRegion", planted),
    ],
    ["the new device cannot apply the state", ({ next }) => fail(next, "resuming->stop")],
    ["the new device does not start", ({ next }) => fail(next, "running-p2p->running")],
  ];

  function fail({ sub }: Composed, arc: Arc): void {
    sub.duties.set(arc, () => Promise.reject(planted));
  }

  test.each(steps)("leaves the guest its device where %s", async (_name, plant) => {
    const all = await rig();
    const { old, next, slot, windows } = all;
    const event = listener();
    void slot.mapDma(RAM);
    listen(slot, event);
    plant(all);
    await expect(slot.replace(next.device)).rejects.toMatchObject({
      code: "ERR_VFMIG_REPLACE_FAILED",
      details: { kept: true },
    });
    expect(slot.current).toBe(old.device);
    expect(old.device.migration?.state).toBe("running");
    expect(next.base.disposed).toBe(true);
    expect(old.base.disposed).toBe(false);
    old.base.raise(2, 0);
    expect(event.count).toBe(1);
    slot.writeRegion(0, 0, Uint8Array.of(3));
    expect(old.base.bytes[0]?.[0]).toBe(3);
    await slot.unmapDma(RAM);
    expect(windows.filter(Boolean)).toHaveLength(windows.length / 2);
    old.sub.duties.clear();
    const third = await composed();
    await slot.replace(third.device);
    expect(slot.current).toBe(third.device);
  });

  test("says so where the old device cannot go on either, and resets it", async () => {
    const { old, next, slot } = await rig();
    fail(next, "resuming->stop");
    fail(old, "stop->running-p2p");
    await expect(slot.replace(next.device)).rejects.toMatchObject({ details: { kept: false } });
    expect(old.base.calls).toContain("reset");
    expect(old.device.migration?.state).toBe("running");
  });
});

describe("a replacement is refused, and nothing touched,", () => {
  test("where a region has another size", async () => {
    const info = new FakeBase().info;
    const regions = info.regions.map((region) =>
      region.index === 3 ? { ...region, size: 0x1000, mmap: undefined } : region,
    );
    const { next, slot } = await rig({}, new FakeBase({ regions }));
    expect(await codeOf(slot.replace(next.device))).toBe("ERR_VFMIG_REPLACE_SHAPE");
    expect(next.base.disposed).toBe(true);
  });

  test("where there are fewer vectors", async () => {
    const info = new FakeBase().info;
    const irqs = info.irqs.map((irq) => (irq.index === 2 ? { ...irq, count: 3 } : irq));
    const { next, slot } = await rig({}, new FakeBase({ irqs }));
    expect(await codeOf(slot.replace(next.device))).toBe("ERR_VFMIG_REPLACE_SHAPE");
  });

  test("where the configuration space is another's", async () => {
    const base = new FakeBase();
    base.bytes[7]?.set([0x86, 0x80, 0x89, 0x18]);
    const { next, slot } = await rig({}, base);
    expect(await codeOf(slot.replace(next.device))).toBe("ERR_VFMIG_REPLACE_SHAPE");
  });

  test("where one of the two cannot migrate", async () => {
    const { slot } = await rig();
    const next = await composed({ migrates: false });
    expect(await codeOf(slot.replace(next.device))).toBe("ERR_VFMIG_REPLACE_BUSY");
  });

  test("while the user migrates the device or logs its writes", async () => {
    const dirtyTracking = {
      start: async () => 4096,
      stop: async () => {},
      readAndClear: () => {},
    };
    const { slot } = await rig({ dirtyTracking });
    await slot.migration?.setState("stop");
    const first = await composed({ dirtyTracking });
    expect(await codeOf(slot.replace(first.device))).toBe("ERR_VFMIG_REPLACE_BUSY");
    await slot.migration?.setState("running");
    await slot.dmaLogging?.start({ pageSize: 4096, ranges: [] });
    const second = await composed({ dirtyTracking });
    expect(await codeOf(slot.replace(second.device))).toBe("ERR_VFMIG_REPLACE_BUSY");
    await slot.dmaLogging?.stop();
    const third = await composed({ dirtyTracking });
    await slot.replace(third.device);
    expect(slot.current).toBe(third.device);
  });

  test("while a user maps a region, and not once it has let go", async () => {
    const { next, slot } = await rig();
    const note = slot.noteMapping?.(0, { offset: 0, size: 0x1000 }, "a test");
    expect(await codeOf(slot.replace(next.device))).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    note?.[Symbol.dispose]();
    const third = await composed();
    await slot.replace(third.device);
    expect(slot.current).toBe(third.device);
  });

  test("by the device itself, which stays open", async () => {
    const { old, slot } = await rig();
    expect(await codeOf(slot.replace(old.device))).toBe("ERR_VFMIG_REPLACE_BUSY");
    expect(old.base.disposed).toBe(false);
  });
});
