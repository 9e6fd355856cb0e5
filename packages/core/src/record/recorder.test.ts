import { describe, expect, it } from "vitest";
import { FakeBase } from "../testing/fake-base.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { unpacked } from "../testing/recordings.ts";
import { silentLogger } from "../logger.ts";
import type { AsyncRegion, MappingNote, VfioDevice } from "../device/vfio-device.ts";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import type { RecordedEvent } from "./events.ts";
import type { RecordingLimits } from "./limits.ts";
import { recordDevice, type RecordedDevice } from "./recorder.ts";

interface Rig {
  readonly device: RecordedDevice;
  readonly base: FakeBase;
  readonly clock: FakeClock;
  /** What was recorded up to here. */
  readonly events: () => readonly RecordedEvent[];
}

function recorded(more: Partial<VfioDevice> = {}, limits: Partial<RecordingLimits> = {}): Rig {
  const base = Object.assign(new FakeBase(), more);
  const clock = new FakeClock();
  const batches: Uint8Array[] = [];
  const sink = (batch: Uint8Array): void => void batches.push(batch);
  const device = recordDevice(base, { sink, clock, logger: silentLogger, limits });
  const events = (): readonly RecordedEvent[] => {
    device.flush();
    return unpacked(batches);
  };
  return { device, base, clock, events };
}

describe("a recorder", () => {
  it("keeps what was read and written, in order", () => {
    const { device, base, events } = recorded();
    base.bytes[0]?.set([1, 2], 16);
    device.readRegion(0, 16, new Uint8Array(2));
    device.writeRegion(3, 8, Uint8Array.of(9));
    expect(events()).toEqual([
      { kind: "read", op: 0, region: 0, offset: 16, data: Uint8Array.of(1, 2) },
      { kind: "write", op: 1, region: 3, offset: 8, data: Uint8Array.of(9) },
    ]);
  });

  it("keeps a refusal as the answer, and hands it on", () => {
    const { device, events } = recorded();
    expect(() => device.readRegion(0, 2 ** 20, new Uint8Array(4))).toThrow("region");
    expect(events()).toMatchObject([
      { kind: "read", op: 0 },
      { kind: "answer", op: 0, answer: { error: { layer: "base" } } },
    ]);
  });

  it("ends at its limit of bytes, and the device goes on", () => {
    const { device, base, events } = recorded({}, { bytes: 200 });
    for (let n = 0; n < 40; n++) {
      device.writeRegion(0, 0, Uint8Array.of(n));
      device.flush();
    }
    expect(device.ended).toBe("it has reached 200 bytes");
    expect(events().length).toBeLessThan(20);
    expect(base.bytes[0]?.[0]).toBe(39);
  });

  it("ends where the device uses more pages than its limit, and the device goes on", async () => {
    const { device, base } = recorded({}, { pages: 1 });
    const bytes = new Uint8Array(8192);
    await device.mapDma({ iova: 0x1000n, size: 8192n, read: true, write: true, memory: { bytes } });
    const used = base.dma.entries[0]?.mapping.memory;
    used?.onUse?.(0x1000, 16, "read");
    expect(device.ended).toBeUndefined();
    used?.onUse?.(0x2000, 16, "read");
    expect(device.ended).toBe("the device used more than 1 pages of guest memory");
    expect(() => device.writeRegion(0, 0, Uint8Array.of(1))).not.toThrow();
  });

  it("offers nothing to map", () => {
    const { device, base } = recorded();
    expect(base.info.regions.some(({ mmap }) => mmap !== undefined)).toBe(true);
    expect(device.info.regions.every(({ mmap }) => mmap === undefined)).toBe(true);
  });

  it("hands on who maps what", () => {
    const noted: unknown[] = [];
    const note: MappingNote = { [Symbol.dispose]() {} };
    const area = { offset: 0, size: 4096 };
    const { device } = recorded({ noteMapping: (...all) => (noted.push(all), note) });
    expect(device.noteMapping?.(3, area, "a client")).toBe(note);
    expect(noted).toEqual([[3, area, "a client"]]);
  });

  it("waits where the device's region waits, and keeps the access as of its end", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const region: AsyncRegion = {
      order: "accesses",
      read: async (_, into) => {
        await promise;
        into.fill(5);
      },
      write: () => Promise.reject(new Error("not now")),
    };
    const { device, events } = recorded({ asyncRegions: new Map([[2, region]]) });
    const here = device.asyncRegions?.get(2);
    expect(here?.order).toBe("accesses");
    const reading = here?.read(4, new Uint8Array(2));
    device.writeRegion(0, 0, Uint8Array.of(1));
    resolve();
    await reading;
    await expect(here?.write(0, Uint8Array.of(7))).rejects.toThrow("not now");
    expect(events()).toMatchObject([
      { kind: "write", op: 0, region: 0 },
      { kind: "read", op: 1, region: 2, offset: 4, data: Uint8Array.of(5, 5) },
      { kind: "write", op: 2, region: 2, data: Uint8Array.of(7) },
      { kind: "answer", op: 2, answer: { error: { message: "not now" } } },
    ]);
  });

  it("keeps what comes from outside, and a turn of the event loop before it", async () => {
    let give: (data: Uint8Array) => void = () => {};
    const input = { listen: (next: typeof give) => (give = next), take: () => () => {} };
    const { device, clock, events } = recorded({ input });
    device.writeRegion(0, 0, Uint8Array.of(1));
    await clock.advance(1);
    give(Uint8Array.of(1, 2, 3));
    expect(events().slice(1)).toEqual([
      { kind: "turn", op: 0 },
      { kind: "input", op: 0, data: Uint8Array.of(1, 2, 3) },
    ]);
  });

  it("keeps what is meant behind the bytes that it is about", async () => {
    let tell: (change: IntendedChange) => void = () => {};
    const { device, base, events } = recorded({ onIntended: (next) => (tell = next) });
    const bytes = new Uint8Array(4096);
    await device.mapDma({ iova: 0x1000n, size: 4096n, read: true, write: true, memory: { bytes } });
    base.dma.entries[0]?.mapping.memory?.onUse?.(0x1008, 4, "write");
    bytes[8] = 6;
    const change = { iova: 0x1008, mask: Uint8Array.of(0xf0), why: "it is hidden" };
    tell(change);
    expect(events().slice(1)).toMatchObject([
      { kind: "device-memory", iova: 0x1008, data: Uint8Array.of(6) },
      { kind: "intended", change },
    ]);
  });

  it("tells of each interrupt before the user hears it, and keeps the old event where a new one is refused", () => {
    const { device, base, events } = recorded();
    let heard = 0;
    const event = { signal: () => void heard++ };
    const set = (events: readonly ({ signal(): void } | undefined)[]): void =>
      device.setIrqs({
        index: 2,
        start: 0,
        count: 1,
        action: "trigger",
        data: { kind: "event", events },
      });
    set([event]);
    base.fail.set("setIrqs", new Error("no"));
    expect(() => set([undefined])).toThrow("no");
    base.fail.clear();
    base.irqs.signal(2, 0);
    expect(heard).toBe(1);
    expect(events().filter(({ kind }) => kind === "signal")).toEqual([
      { kind: "signal", op: 1, index: 2, vector: 0 },
    ]);
  });
});
