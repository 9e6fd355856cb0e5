import { VfmigError } from "@vfmig/core";
import type { IrqEvent } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { createVfioUserServer } from "../server/server.ts";
import { Harness } from "../testing/harness.ts";
import { BAR_BYTES, Gate, MemoryDevice, REGISTER } from "../testing/memory-device.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { TEST_IOS } from "../testing/test-io.ts";
import { connectVfioUser } from "./client.ts";

async function failure(call: Promise<unknown>): Promise<VfmigError> {
  try {
    await call;
  } catch (error) {
    if (VfmigError.is(error)) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

function event(fd: number): IrqEvent {
  return { fd, signal() {} };
}

describe.each(TEST_IOS)("a vfio-user client $name", (testIo) => {
  it("learns what the device is", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const { info } = client;
    expect(info.regions).toEqual(all.device.info.regions);
    expect(info.irqs).toEqual(all.device.info.irqs);
    expect(info).toMatchObject({ pci: true, resettable: true });
    expect(info.identity).toMatchObject({
      device: all.path,
      base: { name: "vfio-user" },
      pci: {
        vendor: 0x1af4,
        device: 0x1100,
        revision: 3,
        subsystemVendor: 0x1af4,
        subsystemDevice: 0x77,
      },
    });
    expect(client.migration).toMatchObject({
      state: "running",
      capabilities: { p2p: true, preCopy: true },
    });
  });

  it("gets the mappable areas of a region with their fd, and closes it in the end", async () => {
    const opened = testIo.open();
    const fd = opened.io.memfd("bar", 32_768);
    await using all = Harness.of({ ...testIo, open: () => opened }, { mmapFd: fd });
    const before = all.openFds();
    const client = await connectVfioUser({ io: all.io, path: all.path });
    const region = client.info.regions[2];
    expect(region?.mmap).toMatchObject({
      fdOffset: 4096n,
      areas: [
        { offset: 0, size: 4096 },
        { offset: 8192, size: 4096 },
      ],
    });
    {
      using mapped = all.io.mmap(region?.mmap?.fd ?? -1, 4096, { offset: 4096n });
      using own = all.io.mmap(fd, 8192);
      mapped.bytes[1] = 77;
      expect(own.bytes[4097]).toBe(77);
    }
    await client.close();
    await all.clientsGone(1);
    expect(all.openFds()).toBe(before);
    const without = await connectVfioUser({ io: all.io, path: all.path, regionFds: false });
    expect(without.info.regions[2]).toEqual({ index: 2, size: 16_384, read: true, write: true });
    expect([...all.device.noted]).toEqual([]);
    await without.close();
    await all.clientsGone(2);
    all.io.close(fd);
  });

  it("reads and writes, in pieces where the data are larger than one message", async () => {
    await using all = Harness.of(testIo, { maxDataTransferSize: 4096 });
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const data = Uint8Array.from({ length: BAR_BYTES }, (_, i) => (i * 7) & 0xff);
    data.fill(0, REGISTER.RAISE, REGISTER.STORE + 4);
    await client.writeRegion(0, 0, data);
    expect(all.device.bar).toEqual(data);
    const read = new Uint8Array(BAR_BYTES - 3);
    await client.readRegion(0, 3, read);
    expect(read).toEqual(data.subarray(3));
  });

  it("refuses an access outside a region before it sends anything", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    for (const [index, offset, length, code] of [
      [9, 0, 1, "ERR_VFMIG_REGION_INDEX"],
      [0, BAR_BYTES - 1, 2, "ERR_VFMIG_REGION_RANGE"],
      [0, -1, 1, "ERR_VFMIG_REGION_RANGE"],
      [0, 0.5, 1, "ERR_VFMIG_REGION_RANGE"],
      [3, 0, 0, "ERR_VFMIG_REGION_ACCESS"],
    ] as const) {
      expect((await failure(client.readRegion(index, offset, new Uint8Array(length)))).code).toBe(
        code,
      );
      expect((await failure(client.writeRegion(index, offset, new Uint8Array(length)))).code).toBe(
        code,
      );
    }
  });

  it("names command, place and errno of what the server refuses", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const error = await failure(client.unmapDma({ iova: 0x5000n, size: 4096n }));
    expect(error).toMatchObject({
      code: "ERR_VFMIG_VFIO_USER_REMOTE",
      layer: "vfio-user",
      details: { command: "VFIO_USER_DMA_UNMAP", errno: 2 },
    });
    expect(error.message).toContain("0x5000+0x1000");
    expect(error.message).toContain("ENOENT");
  });

  it("maps memory, so that the device reaches it, and learns which pages it wrote", async () => {
    await using all = Harness.of(testIo, { maxDataTransferSize: 4096 });
    await using client = await connectVfioUser({
      io: all.io,
      path: all.path,
      maxDataTransferSize: 4096,
    });
    const size = 2 ** 28 + 8192;
    const fd = all.io.memfd("guest", size + 4096);
    using memory = all.io.mmap(fd, testIo.name === "in memory" ? 4096 : size, { offset: 4096n });
    const range = { iova: 0x10_0000n, size: BigInt(memory.bytes.length) };
    await client.mapDma({ ...range, read: true, write: true, memory });
    const logging = client.dmaLogging;
    expect(await logging?.start({ pageSize: 4096, ranges: [] })).toBe(4096);
    const last = memory.bytes.length - 4096;
    const store = new Uint8Array(4);
    for (const at of [0, last]) {
      new DataView(store.buffer).setUint32(0, 0x10_0000 + at, true);
      await client.writeRegion(0, REGISTER.STORE, store);
      expect(memory.bytes[at]).toBe(0xd0);
    }
    // More than one message's bitmap, and bits that were set before stay.
    const bitmap = new Uint8Array(Math.ceil(memory.bytes.length / 4096 / 8));
    bitmap[0] = 0x80;
    await logging?.report(range, 4096, bitmap);
    const page = last / 4096;
    const expected = new Uint8Array(bitmap.length);
    expected[0] = 0x81;
    expected[page >> 3] = (expected[page >> 3] ?? 0) | (1 << (page & 7));
    expect(bitmap).toEqual(expected);
    await logging?.stop();
    expect(
      (await failure(logging?.report(range, 4096, new Uint8Array(0)) ?? Promise.resolve())).code,
    ).toBe("ERR_VFMIG_DMA_LOGGING_REQUEST");
    await client.unmapDma(range);
    await client.mapDma({ iova: 0n, size: 4096n, read: true, write: false });
    expect(all.device.mappings.get(0n)?.memory).toBeUndefined();
    await client.unmapAllDma();
    expect(all.device.mappings.size).toBe(0);
    all.io.close(fd);
  });

  it("hands over sixty-four vectors in messages that the server can take", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const fds = Array.from({ length: 64 }, () => all.io.eventfd());
    const events = fds.map((fd, i) => (i === 20 || i === 21 ? undefined : event(fd)));
    await client.setIrqs({
      index: 2,
      start: 0,
      count: 64,
      action: "trigger",
      data: { kind: "event", events },
    });
    expect(all.device.vectors.map((vector) => vector !== undefined)).toEqual(
      events.map((each) => each !== undefined),
    );
    await client.writeRegion(0, REGISTER.RAISE, Uint8Array.of(63));
    expect(all.io.drainEventfd(fds[63] ?? -1)).toBe(1);
    await client.setIrqs({
      index: 2,
      start: 0,
      count: 0,
      action: "trigger",
      data: { kind: "none" },
    });
    expect(all.device.vectors).toEqual([]);
    for (const fd of fds) all.io.close(fd);
    const bare = { signal() {} };
    const data = { kind: "event", events: [bare] } as const;
    expect(
      (await failure(client.setIrqs({ index: 2, start: 0, count: 1, action: "trigger", data })))
        .code,
    ).toBe("ERR_VFMIG_VFIO_USER_UNSUPPORTED");
  });

  it("carries the device's state from one server to another", async () => {
    await using source = Harness.of(testIo);
    await using target = Harness.of(testIo);
    await using from = await connectVfioUser({ io: source.io, path: source.path });
    await using to = await connectVfioUser({ io: target.io, path: target.path });
    source.device.bar.forEach((_, i, bar) => (bar[i] = (i * 13) & 0xff));
    await from.migration?.setState("stop-copy");
    expect(from.migration?.state).toBe("stop-copy");
    expect(await from.migration?.dataSize()).toBe(BAR_BYTES);
    await to.migration?.setState("resuming");
    const chunk = new Uint8Array(1000);
    for (let got = -1; got !== 0;) {
      got = (await from.migration?.readData(chunk)) ?? 0;
      await to.migration?.writeData(chunk.subarray(0, got));
    }
    await to.migration?.setState("stop");
    expect(target.device.bar).toEqual(source.device.bar);
    expect(await to.migration?.precopyInfo()).toEqual({
      initialBytes: 11,
      dirtyBytes: 22,
      reinit: true,
    });
  });

  it("says which state was reached when a change fails, and after a reset", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    await client.migration?.setState("stop");
    all.device.migration.state = "stop-copy";
    expect(
      (await failure(client.migration?.setState("error") ?? Promise.resolve())).details,
    ).toMatchObject({ errno: 22 });
    expect(client.migration?.state).toBe("stop-copy");
    await client.reset();
    expect(client.migration?.state).toBe("running");
    expect(all.device.resets).toBe(1);
  });

  it("answers short calls while a long one runs", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const gate = new Gate();
    all.device.migration.gate = gate;
    let settled = false;
    const change = client.migration?.setState("stop").then(() => (settled = true));
    await client.readRegion(0, 0, new Uint8Array(4));
    expect(settled).toBe(false);
    gate.open();
    await change;
    expect(settled).toBe(true);
  });

  it("fails every waiting call when the server dies, and says so", async () => {
    await using all = Harness.of(testIo);
    const client = await connectVfioUser({ io: all.io, path: all.path });
    all.device.migration.gate = new Gate();
    const calls = [client.migration?.setState("stop"), client.migration?.setState("running")];
    await client.readRegion(0, 0, new Uint8Array(4));
    const failures = Promise.all(calls.map((call) => failure(call ?? Promise.resolve())));
    await all.server.close();
    for (const error of await failures) {
      expect(error.code).toBe("ERR_VFMIG_VFIO_USER_CLOSED");
      expect(error.message).toContain("the server has closed the connection");
    }
    expect((await client.closed)?.code).toBe("ERR_VFMIG_VFIO_USER_CLOSED");
    expect((await failure(client.reset())).code).toBe("ERR_VFMIG_VFIO_USER_CLOSED");
  });

  it("fails calls after its own close, and tells no reason", async () => {
    await using all = Harness.of(testIo);
    const client = await connectVfioUser({ io: all.io, path: all.path });
    await client.close();
    await client.close();
    expect(await client.closed).toBeUndefined();
    expect((await failure(client.reset())).message).toContain("this client was closed");
  });

  it("gives up a call after its limit and drops the late reply", async () => {
    await using all = Harness.of(testIo);
    const clock = new ManualClock();
    await using client = await connectVfioUser({ io: all.io, path: all.path, clock });
    expect(clock.pending).toBe(0);
    const gate = new Gate();
    all.device.migration.gate = gate;
    const late = failure(client.migration?.setState("stop") ?? Promise.resolve());
    const next = client.migration?.setState("running");
    clock.advance(59_999);
    await client.readRegion(0, 0, new Uint8Array(4));
    expect(clock.pending).toBe(2);
    all.device.migration.walked.push("error");
    clock.advance(1);
    expect(await late).toMatchObject({
      code: "ERR_VFMIG_VFIO_USER_TIMEOUT",
      details: { limitMs: 60_000 },
    });
    await failure(next ?? Promise.resolve());
    gate.open();
    await client.migration?.setState("pre-copy");
    expect(client.migration?.state).toBe("pre-copy");
    expect(all.device.migration.walked).toEqual(["error", "stop", "running", "pre-copy"]);
  });

  it("refuses to stand still for a server on its own thread", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    expect(() => client.device).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_VFIO_USER_SAME_THREAD" }),
    );
  });

  it("takes over a connected socket", async () => {
    const opened = testIo.open();
    const { io } = opened;
    const device = new MemoryDevice();
    const warm = opened.openFds();
    const [ours, theirs] = io.socketPair();
    const server = createVfioUserServer({ io, device, fd: theirs });
    const client = await connectVfioUser({ io, fd: ours });
    await client.writeRegion(0, 0, Uint8Array.of(1));
    expect(device.bar[0]).toBe(1);
    await client.close();
    await server.closed;
    expect(opened.openFds() - warm).toBeLessThanOrEqual(2);
  });
});
