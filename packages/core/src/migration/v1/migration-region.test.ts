import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { REGION_TYPE } from "../../device/info.ts";
import type { VfioDevice } from "../../device/vfio-device.ts";
import { codeOf, composed, type Composed } from "../../testing/composed.ts";
import { settle } from "../../testing/fake-clock.ts";
import type { FakeSubDriverParts } from "../../testing/fake-sub-driver.ts";
import { V1User } from "../../testing/v1-user.ts";
import { V1_DATA_OFFSET, V1_REGISTER } from "./registers.ts";
import { withV1MigrationRegion } from "./with-v1-migration-region.ts";

const REFUSED = "ERR_VFMIG_MIGRATION_REGION";
const { DEVICE_STATE, RESERVED, PENDING_BYTES, DATA_OFFSET, DATA_SIZE } = V1_REGISTER;
const [STOP, RUNNING, STOP_COPY, PRE_COPY, RESUMING, ERROR] = [0, 1, 2, 3, 4, 6];
const records = [
  { type: "registers", value: { a: 1, b: 2 } },
  { type: "ring", value: { index: 41 } },
];

interface Rig {
  readonly it: Composed;
  readonly device: VfioDevice;
  readonly user: V1User;
}

async function rig(parts: FakeSubDriverParts = {}, dataBytes = 4096): Promise<Rig> {
  const it = await composed({ records, ...parts });
  const device = withV1MigrationRegion(it.device, { dataBytes });
  return { it, device, user: new V1User(device) };
}

const bytes = (count: number): Uint8Array => new Uint8Array(count);

describe("the region", () => {
  it("is found by its type, behind all others, and cannot be mapped", async () => {
    const { device } = await rig({}, 8192);
    expect(device.info.regions.at(-1)).toEqual({
      index: 9,
      size: V1_DATA_OFFSET + 8192,
      read: true,
      write: true,
      type: REGION_TYPE.MIGRATION,
    });
    expect(V1_DATA_OFFSET % 4096).toBe(0);
  });

  it("leaves everything else of the device as it is", async () => {
    const { it, device } = await rig();
    device.writeRegion(0, 8, Uint8Array.of(7));
    const into = bytes(1);
    device.readRegion(0, 8, into);
    expect(into[0]).toBe(7);
    device.setIrqs({
      index: 2,
      start: 0,
      count: 1,
      action: "trigger",
      data: { kind: "event", events: [undefined] },
    });
    await device.mapDma({ iova: 0n, size: 4096n, read: true, write: true });
    await device.unmapDma({ iova: 0n, size: 4096n });
    device.noteMapping?.(0, { offset: 0, size: 4096 })[Symbol.dispose]();
    expect(device.dmaLogging).toBe(it.device.dmaLogging);
    expect(device.info).toBe(device.info);
    await device[Symbol.asyncDispose]();
    expect(it.base.disposed).toBe(true);
  });

  it("shows the layout beneath as it changes", async () => {
    const mmap = { runtime: [{ offset: 0, size: 4096 }], saving: [] };
    const facet = { index: 0, trapped: [], read: () => {}, write: () => {}, mmap };
    const { device, user } = await rig({ regions: [facet] });
    const note = device.noteMapping?.(0, { offset: 0, size: 4096 });
    expect(await codeOf(user.setState(PRE_COPY))).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    expect(await user.state()).toBe(RUNNING);
    note?.[Symbol.dispose]();
    await user.setState(PRE_COPY);
    expect(device.info.regions[0]?.mmap).toBeUndefined();
  });

  it.each([
    ["without migration", { migrates: false }, 4096],
    ["with a data area of half a page", {}, 2048],
    ["with a data area of 0 bytes", {}, 0],
    ["with a data area beyond 64 MiB", {}, 67_108_864 + 4096],
  ])("is refused for a device %s", async (_, parts, dataBytes) => {
    expect(await codeOf(rig(parts, dataBytes))).toBe(REFUSED);
  });

  it("is refused for a device that has one", async () => {
    const { device } = await rig();
    expect(() => withV1MigrationRegion(device)).toThrow("has such a region");
  });
});

describe("registers", () => {
  it.each([
    [DEVICE_STATE, 4],
    [RESERVED, 4],
    [PENDING_BYTES, 8],
  ])("at %i are read whole, in %i bytes, and in no other way", async (offset, width) => {
    const { user } = await rig();
    await user.read(offset, bytes(width));
    for (const other of [1, 2, 3, 4, 8, 12, 16]) {
      if (other === width) continue;
      expect(await codeOf(user.read(offset, bytes(other)))).toBe(REFUSED);
    }
    expect(await codeOf(user.read(offset + 2, bytes(2)))).toBe(REFUSED);
  });

  it("that are none, and the gap before the data area, are refused", async () => {
    const { user } = await rig();
    for (const offset of [1, 12, 32, 40, 2048, V1_DATA_OFFSET - 4]) {
      expect(await codeOf(user.read(offset, bytes(4)))).toBe(REFUSED);
      expect(await codeOf(user.write(offset, bytes(4)))).toBe(REFUSED);
    }
    expect(await codeOf(user.read(V1_DATA_OFFSET + 4096, bytes(1)))).toBe("ERR_VFMIG_REGION_RANGE");
  });

  it("reserved, pending_bytes and data_offset cannot be written", async () => {
    const { user } = await rig();
    expect(await codeOf(user.write(RESERVED, bytes(4)))).toBe(REFUSED);
    expect(await codeOf(user.write(PENDING_BYTES, bytes(8)))).toBe(REFUSED);
    expect(await codeOf(user.write(DATA_OFFSET, bytes(8)))).toBe(REFUSED);
  });

  it("pending_bytes is 0 where nothing is saved", async () => {
    const { user } = await rig();
    for (const state of [RUNNING, STOP, RESUMING]) {
      await user.setState(state);
      expect(await user.pending()).toBe(0);
    }
  });
});

describe("device_state", () => {
  it("is RUNNING at first, and shows each state that can be asked for", async () => {
    const { user } = await rig();
    expect(await user.state()).toBe(RUNNING);
    for (const state of [PRE_COPY, STOP_COPY, STOP, RUNNING, STOP_COPY, RUNNING, RESUMING]) {
      await user.setState(state);
      expect(await user.state()).toBe(state);
    }
  });

  it("shows the P2P states of protocol v2 as running, and leads out of them", async () => {
    const { device, user, it } = await rig();
    await device.migration?.setState("running-p2p");
    expect(await user.state()).toBe(RUNNING);
    await user.setState(RUNNING);
    expect(it.device.migration?.state).toBe("running");
    await device.migration?.setState("pre-copy-p2p");
    expect(await user.state()).toBe(PRE_COPY);
  });

  it.each([5, 6, 7, 8, 1 | (1 << 31), 0xffff_ffff])(
    "refuses %i, and stays what it was",
    async (value) => {
      const { user, it } = await rig();
      await expect(user.setState(value >>> 0)).rejects.toMatchObject({
        code: REFUSED,
        message: expect.stringContaining(value >>> 0 > 7 ? "bits 3 to 31" : "no state that can be"),
      });
      expect(await user.state()).toBe(RUNNING);
      expect(it.sub.arcs).toEqual([]);
    },
  );

  it("refuses to go back from stop-and-copy to pre-copy, and stays what it was", async () => {
    const { user } = await rig();
    await user.setState(STOP_COPY);
    expect(await codeOf(user.setState(PRE_COPY))).toBe("ERR_VFMIG_MIGRATION_BLOCKED");
    expect(await user.state()).toBe(STOP_COPY);
  });

  it("refuses pre-copy where the device has none", async () => {
    const { user } = await rig({ preCopy: false });
    expect(await codeOf(user.setState(PRE_COPY))).toBe("ERR_VFMIG_MIGRATION_STATE");
    expect(await user.state()).toBe(RUNNING);
  });

  it("shows the state that was reached where the device failed on the way", async () => {
    const { user, it } = await rig({ p2p: false });
    it.sub.duties.set("stop->stop-copy", () => Promise.reject(new Error("no")));
    expect(await codeOf(user.setState(STOP_COPY))).toBe("ERR_VFMIG_SUB_DRIVER_FAILED");
    expect(await user.state()).toBe(STOP);
  });

  it("shows an error that only a reset ends", async () => {
    const { user, it, device } = await rig();
    it.sub.duties.set("running->running-p2p", () => new Promise(() => {}));
    const lost = codeOf(user.setState(STOP));
    await it.clock.advance(30_000);
    expect(await lost).toBe("ERR_VFMIG_MIGRATION_TIMEOUT");
    expect(await user.state()).toBe(ERROR);
    for (const state of [STOP, RUNNING, STOP_COPY, RESUMING, ERROR]) {
      expect(await codeOf(user.setState(state))).not.toBe("none");
    }
    it.sub.duties.clear();
    const reset = device.reset();
    await it.clock.advance(1000);
    await reset;
    expect(await user.state()).toBe(RUNNING);
  });

  it("is written when the duty is done, and later accesses wait for it", async () => {
    const { user, it } = await rig();
    const gate = Promise.withResolvers<void>();
    it.sub.duties.set("running->running-p2p", () => gate.promise);
    const order: string[] = [];
    const write = user.setState(STOP).then(() => order.push("written"));
    const read = user.state().then((state) => order.push(`read ${state}`));
    await settle();
    expect(order).toEqual([]);
    gate.resolve();
    await Promise.all([write, read]);
    expect(order).toEqual(["written", "read 0"]);
  });

  it("is cancelled by a reset, with all that waits behind it", async () => {
    const { user, it, device } = await rig();
    it.sub.duties.set(
      "running->running-p2p",
      (signal) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    const codes = [codeOf(user.setState(STOP)), codeOf(user.setState(RESUMING))];
    await settle();
    await device.reset();
    expect(await Promise.all(codes)).toEqual([
      "ERR_VFMIG_MIGRATION_CANCELLED",
      "ERR_VFMIG_MIGRATION_CANCELLED",
    ]);
    expect([await user.state(), it.device.migration?.state]).toEqual([RUNNING, "running"]);
  });
});

describe("saving", () => {
  it("gives what protocol v2 gives, in chunks of at most the data area", async () => {
    const v2 = await composed({ records });
    const whole: Uint8Array[] = [];
    await v2.device.migration?.setState("stop-copy");
    for (;;) {
      const into = bytes(100_000);
      const count = (await v2.device.migration?.readData(into)) ?? 0;
      if (count === 0) break;
      whole.push(into.subarray(0, count));
    }
    const big = { type: "registers", value: Object.fromEntries(names(3000)) };
    for (const each of [records, [...records, big]]) {
      const { user } = await rig({ records: each });
      await user.setState(STOP_COPY);
      const chunks = await user.drain();
      expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(4096);
      if (each === records) expect(Buffer.concat(chunks)).toEqual(Buffer.concat(whole));
      else expect(chunks.length).toBeGreaterThan(5);
      expect(await user.pending()).toBe(0);
    }
  });

  it("asking for the pending bytes again, before the data were looked at, changes nothing", async () => {
    const { user } = await rig();
    await user.setState(STOP_COPY);
    const first = await user.pending();
    expect(first).toBeGreaterThan(0);
    expect(await user.pending()).toBe(first);
    const chunk = await user.chunk();
    expect(await user.chunk()).toEqual(chunk);
    expect(first).toBeGreaterThanOrEqual(chunk.length);
  });

  it("asking after the data were looked at takes the chunk, and nothing is left to be read", async () => {
    const { user } = await rig();
    await user.setState(STOP_COPY);
    await user.drain();
    for (const access of [
      user.long(DATA_OFFSET),
      user.long(DATA_SIZE),
      user.read(V1_DATA_OFFSET, bytes(1)),
    ]) {
      expect(await codeOf(access)).toBe(REFUSED);
    }
  });

  it("refuses each access that comes before its turn", async () => {
    const { user } = await rig();
    await user.setState(STOP_COPY);
    expect(await codeOf(user.long(DATA_OFFSET))).toBe(REFUSED);
    await user.pending();
    expect(await codeOf(user.long(DATA_SIZE))).toBe(REFUSED);
    expect(await codeOf(user.read(V1_DATA_OFFSET, bytes(1)))).toBe(REFUSED);
    await user.long(DATA_OFFSET);
    const size = await user.long(DATA_SIZE);
    await user.read(V1_DATA_OFFSET + size - 1, bytes(1));
    expect(await codeOf(user.read(V1_DATA_OFFSET, bytes(size + 1)))).toBe(REFUSED);
  });

  it("refuses what belongs to resuming", async () => {
    const { user } = await rig();
    await user.setState(STOP_COPY);
    await user.pending();
    await user.long(DATA_OFFSET);
    expect(await codeOf(user.write(V1_DATA_OFFSET, bytes(4)))).toBe(REFUSED);
    expect(await codeOf(user.write(DATA_SIZE, bytes(8)))).toBe(REFUSED);
  });

  it("goes on over pre-copy and stop-and-copy, with the chunk that was not taken yet", async () => {
    const { user } = await rig({ precopyRecords: [{ type: "ring", value: { index: 1 } }] });
    const target = await rig();
    await user.setState(PRE_COPY);
    const early = await user.drain();
    expect(early.length).toBeGreaterThan(0);
    expect(await user.pending()).toBe(0);
    await user.setState(STOP_COPY);
    const late = await user.drain();
    await restore(target, [...early, ...late]);
    expect(target.it.sub.loaded.length).toBe(3);

    const again = await rig({ precopyRecords: [{ type: "ring", value: { index: 1 } }] });
    await again.user.setState(PRE_COPY);
    await again.user.pending();
    await again.user.setState(STOP_COPY);
    const all = await again.user.drain();
    expect(Buffer.concat(all)).toEqual(Buffer.concat([...early, ...late]));
  });

  it("can leave pre-copy at any pending value, and cancel", async () => {
    const { user } = await rig({ precopyRecords: [{ type: "ring", value: { index: 1 } }] });
    const target = await rig();
    await user.setState(PRE_COPY);
    expect(await user.pending()).toBeGreaterThan(0);
    await user.long(DATA_OFFSET);
    await user.setState(RUNNING);
    expect(await codeOf(user.long(DATA_SIZE))).toBe(REFUSED);
    await user.setState(STOP_COPY);
    await restore(target, await user.drain());
  });

  it("starts anew where another user of the device has ended the session meanwhile", async () => {
    const { user, device } = await rig();
    await user.setState(STOP_COPY);
    await user.pending();
    await user.long(DATA_OFFSET);
    await device.migration?.setState("stop");
    await device.migration?.setState("stop-copy");
    expect(await codeOf(user.long(DATA_SIZE))).toBe(REFUSED);
    const target = await rig();
    await restore(target, await user.drain());
  });

  it("passes an error of the device on to the access, and the state can be read", async () => {
    const { user } = await rig({
      ops: {
        save: () => {
          throw new Error("broken");
        },
      },
    });
    await user.setState(STOP_COPY);
    const codes = [];
    for (let i = 0; i < 3; i += 1) {
      codes.push(await codeOf(user.drain()));
    }
    expect(codes).toContain("ERR_VFMIG_SUB_DRIVER_FAILED");
    expect(await user.state()).toBe(STOP_COPY);
  });

  it("tells what stands there even where the device cannot estimate the rest", async () => {
    const { user } = await rig({ ops: { size: () => Number.NaN } });
    await user.setState(STOP_COPY);
    const pending = await user.pending();
    expect(pending).toBe((await user.chunk()).length);
  });
});

describe("resuming", () => {
  it("moves a device's state, chunk by chunk, and applies it when it is left", async () => {
    const [source, target] = [await rig(), await rig()];
    await source.user.setState(STOP_COPY);
    const chunks = await source.user.drain();
    await target.user.setState(RESUMING);
    for (const chunk of chunks) await target.user.give(chunk);
    expect(target.it.sub.calls).not.toContain("commit");
    await target.user.setState(RUNNING);
    expect(target.it.sub.loaded).toEqual(records);
    expect(await target.user.state()).toBe(RUNNING);
  });

  it("takes any split of the bytes, since the stream has its own frames", async () => {
    const { user } = await rig();
    await user.setState(STOP_COPY);
    const state = Buffer.concat(await user.drain());
    const splits = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(splits, async (sizes) => {
        const target = await rig();
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < state.length; i += 1) {
          const size = sizes[i % sizes.length] ?? 1;
          chunks.push(state.subarray(at, at + size));
          at += size;
        }
        await restore(target, chunks);
        expect(target.it.sub.loaded).toEqual(records);
      }),
      { numRuns: 15 },
    );
  });

  it("takes no more than was placed, none twice, and none at all of nothing", async () => {
    const { user } = await rig();
    await user.setState(RESUMING);
    const size = (count: number): Promise<string> =>
      codeOf(user.write(DATA_SIZE, new Uint8Array(BigUint64Array.of(BigInt(count)).buffer)));
    expect(await size(0)).toBe(REFUSED);
    expect(await size(1)).toBe(REFUSED);
    await user.write(V1_DATA_OFFSET, bytes(4));
    expect(await size(5)).toBe(REFUSED);
    expect(await codeOf(user.write(V1_DATA_OFFSET, bytes(4097)))).toBe("ERR_VFMIG_REGION_RANGE");
    expect(await size(2 ** 53)).toBe(REFUSED);
    const source = await rig();
    await source.user.setState(STOP_COPY);
    await user.give(Buffer.concat(await source.user.drain()).subarray(0, 12));
    expect(await size(1)).toBe(REFUSED);
  });

  it("refuses what belongs to saving", async () => {
    const { user } = await rig();
    await user.setState(RESUMING);
    await user.write(V1_DATA_OFFSET, bytes(4));
    expect(await codeOf(user.long(DATA_SIZE))).toBe(REFUSED);
    expect(await codeOf(user.read(V1_DATA_OFFSET, bytes(4)))).toBe(REFUSED);
  });

  it("data_size is written when the data are consumed", async () => {
    const [source, target] = [await rig(), await rig()];
    await source.user.setState(STOP_COPY);
    const state = Buffer.concat(await source.user.drain());
    const gate = Promise.withResolvers<void>();
    target.it.sub.onRecord = () => gate.promise;
    await target.user.setState(RESUMING);
    let done = false;
    const given = target.user.give(state).then(() => (done = true));
    await settle();
    expect(done).toBe(false);
    gate.resolve();
    await given;
  });

  it("fails the access that a device rejects, and the state change after it", async () => {
    const { user } = await rig();
    await user.setState(RESUMING);
    const garbage = Uint8Array.from({ length: 64 }, (_, i) => i);
    expect(await codeOf(user.give(garbage))).not.toBe("none");
    expect(await codeOf(user.give(garbage))).toBe("ERR_VFMIG_MIGRATION_POISONED");
    expect(await codeOf(user.setState(RUNNING))).toBe("ERR_VFMIG_MIGRATION_POISONED");
    expect(await user.state()).toBe(RESUMING);
  });

  it("refuses to run with half of a state", async () => {
    const [source, target] = [await rig(), await rig()];
    await source.user.setState(STOP_COPY);
    const state = Buffer.concat(await source.user.drain());
    await target.user.setState(RESUMING);
    await target.user.give(state.subarray(0, state.length - 8));
    expect(await codeOf(target.user.setState(RUNNING))).not.toBe("none");
    expect(await target.user.state()).toBe(RESUMING);
    await target.device.reset();
    await restore(target, [state]);
  });
});

describe("a caller that cannot wait", () => {
  it("may read the state, and is refused the rest by name", async () => {
    const { device, user } = await rig();
    await user.setState(STOP_COPY);
    const into = bytes(4);
    device.readRegion(9, DEVICE_STATE, into);
    expect([...into]).toEqual([STOP_COPY, 0, 0, 0]);
    const waits = expect.objectContaining({ code: "ERR_VFMIG_REGION_WAITS" });
    expect(() => device.readRegion(9, PENDING_BYTES, bytes(8))).toThrow(waits);
    expect(() => device.writeRegion(9, DEVICE_STATE, bytes(4))).toThrow(waits);
    expect(() => device.readRegion(9, 0, bytes(9000))).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_REGION_RANGE" }),
    );
  });

  it("sees the last state that was reached while a change runs", async () => {
    const { device, user, it } = await rig({ p2p: false });
    const gate = Promise.withResolvers<void>();
    it.sub.duties.set("stop->stop-copy", () => gate.promise);
    const change = user.setState(STOP_COPY);
    await settle();
    const into = bytes(4);
    device.readRegion(9, DEVICE_STATE, into);
    expect(into[0]).toBe(STOP);
    gate.resolve();
    await change;
  });
});

it("after the device is closed every access is refused", async () => {
  const { device, user } = await rig();
  await device[Symbol.asyncDispose]();
  expect(await codeOf(user.state())).toBe("ERR_VFMIG_DEVICE_CLOSED");
});

it("whatever a hostile user does, in whatever order, the device answers, and works after a reset", async () => {
  const offset = fc.oneof(
    fc.constantFrom(DEVICE_STATE, RESERVED, PENDING_BYTES, DATA_OFFSET, DATA_SIZE, V1_DATA_OFFSET),
    fc.integer({ min: 0, max: V1_DATA_OFFSET + 4200 }),
  );
  const access = fc.record({
    write: fc.boolean(),
    offset,
    width: fc.constantFrom(0, 1, 4, 4, 8, 8, 64, 4097),
    value: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 2 ** 31 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(access, { maxLength: 40 }), async (accesses) => {
      const { device, user } = await rig();
      await Promise.allSettled(
        accesses.map(async ({ write, offset: at, width, value }) => {
          const data = bytes(width);
          if (width >= 4) new DataView(data.buffer).setUint32(0, value, true);
          await (write ? user.write(at, data) : user.read(at, data));
        }),
      );
      expect([0, 1, 2, 3, 4, 6]).toContain(await user.state());
      await device.reset();
      await user.setState(STOP_COPY);
      const target = await rig();
      await restore(target, await user.drain());
      expect(target.it.sub.loaded).toEqual(records);
    }),
    { numRuns: 60 },
  );
});

async function restore({ user }: Rig, chunks: readonly Uint8Array[]): Promise<void> {
  await user.setState(RESUMING);
  for (const chunk of chunks) await user.give(chunk);
  await user.setState(RUNNING);
}

function* names(count: number): Generator<[string, number]> {
  for (let i = 0; i < count; i += 1) yield [`register${i}`, i];
}
