import { VfmigError } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { BAR_BYTES, Gate, REGISTER } from "../testing/memory-device.ts";
import {
  join,
  message,
  QEMU_CAPABILITIES,
  u32,
  u64,
  versionPayload,
  type RawPeer,
} from "../testing/raw-peer.ts";
import { TEST_IOS } from "../testing/test-io.ts";

const GET = 0x1_0000;
const SET = 0x2_0000;
const PROBE = 0x4_0000;
const EINVAL = 22;

function regionRead(offset: number, count: number, region = 0): Uint8Array {
  return join(u64(offset), u32(region, count));
}

function regionWrite(offset: number, data: Uint8Array, region = 0): Uint8Array {
  return join(u64(offset), u32(region, data.length), data);
}

function dmaMap(iova: number, size: number, fdOffset = 0, flags = 3): Uint8Array {
  return join(u32(32, flags), u64(fdOffset, iova, size));
}

function dmaUnmap(iova: number, size: number, flags = 0): Uint8Array {
  return join(u32(24, flags), u64(iova, size));
}

function setState(state: number): Uint8Array {
  return join(u32(16, 2 | SET), u32(state, 0));
}

async function errno(peer: RawPeer, id: number): Promise<number> {
  const reply = await peer.reply(id);
  if (reply.flags === 1) return 0;
  expect(reply.flags).toBe(0x21);
  expect(reply.payload).toHaveLength(0);
  return reply.errno;
}

describe.each(TEST_IOS)("a vfio-user server $name", (testIo) => {
  it("answers QEMU's version message with less than QEMU's own bytes, naming only what QEMU named", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    const reply = await peer.negotiate();
    expect(reply.flags).toBe(1);
    expect(16 + reply.payload.length).toBeLessThanOrEqual(214);
    const text = new TextDecoder().decode(reply.payload.subarray(4, -1));
    const { capabilities } = JSON.parse(text);
    const asked = Object.keys(JSON.parse(QEMU_CAPABILITIES).capabilities);
    expect(asked).toEqual(expect.arrayContaining(Object.keys(capabilities)));
    expect(capabilities).not.toHaveProperty("write_multiple");
    expect(capabilities.max_msg_fds).toBeLessThanOrEqual(16);
    expect(reply.payload.at(-1)).toBe(0);
    peer.close();
  });

  it.each([
    ["another major version", versionPayload(1, 0, "{}")],
    ["capabilities that are no JSON", versionPayload(0, 0, "{")],
    [
      "a capability of the wrong type",
      versionPayload(0, 0, '{"capabilities":{"max_msg_fds":"1"}}'),
    ],
    ["no NUL at the end", versionPayload(0, 0, "{}").subarray(0, -1)],
    ["two bytes", new Uint8Array(2)],
  ])("refuses %s, closes, and takes the next client", async (_name, payload) => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    peer.command(4, 1, payload);
    expect(await errno(peer, 4)).toBe(EINVAL);
    await peer.ended;
    peer.close();
    (await all.negotiated()).close();
  });

  it("refuses a first message that is not VERSION", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    peer.command(1, 4, u32(16, 0, 0, 0));
    expect(await errno(peer, 1)).toBe(EINVAL);
    await peer.ended;
    peer.close();
  });

  it("tells what the device is", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 4, u32(32, 0, 0, 0));
    expect((await peer.reply(1)).payload).toEqual(u32(16, 3, 9, 5));
    peer.command(2, 5, join(u32(32, 0, 0, 0), u64(0, 0)));
    expect((await peer.reply(2)).payload).toEqual(join(u32(32, 3, 0, 0), u64(BAR_BYTES, 0)));
    peer.command(3, 7, u32(16, 0, 2, 0));
    expect((await peer.reply(3)).payload).toEqual(u32(16, 1, 2, 64));
    for (const [command, payload] of [
      [5, join(u32(32, 0, 9, 0), u64(0, 0))],
      [5, join(u32(31, 0, 0, 0), u64(0, 0))],
      [7, u32(16, 0, 5, 0)],
      [4, u32(15, 0, 0, 0)],
    ] as const) {
      peer.command(4, command, payload);
      expect(await errno(peer, 4)).toBe(EINVAL);
    }
    peer.close();
  });

  it("gives the fd of a mappable region once argsz has room for its areas", async () => {
    const opened = testIo.open();
    const fd = opened.io.memfd("bar", 32_768);
    await using all = Harness.of({ ...testIo, open: () => opened }, { mmapFd: fd });
    const peer = await all.negotiated();
    peer.command(1, 5, join(u32(32, 0, 2, 0), u64(0, 0)));
    const short = await peer.reply(1);
    expect(short.payload).toEqual(join(u32(80, 7, 2, 0), u64(16_384, 4096)));
    expect(short.fds).toHaveLength(0);
    peer.command(2, 5, join(u32(80, 0, 2, 0), u64(0, 0)));
    const full = await peer.reply(2);
    expect(full.payload.subarray(4, 8)).toEqual(u32(15));
    expect(full.payload.subarray(32)).toEqual(
      join(u32(0x1_0001, 0, 2, 0), u64(0, 4096, 8192, 4096)),
    );
    const [received = -1] = full.fds;
    using mapped = all.io.mmap(received, 4096);
    using own = all.io.mmap(fd, 4096);
    own.bytes[7] = 9;
    expect(mapped.bytes[7]).toBe(9);
    all.io.close(received);
    peer.close();
    await all.clientsGone(1);
    all.io.close(fd);
  });

  it("reads and writes regions of any size up to the limit", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const data = Uint8Array.from({ length: 3000 }, (_, i) => i);
    for (const [at, part] of [
      [0, data.subarray(0, 1)],
      [8, data.subarray(0, 4)],
      [16, data.subarray(0, 8)],
      [1024, data],
    ] as const) {
      peer.command(1, 10, regionWrite(at, part));
      expect((await peer.reply(1)).payload).toEqual(join(u64(at), u32(0, part.length)));
      peer.command(2, 9, regionRead(at, part.length));
      expect((await peer.reply(2)).payload).toEqual(join(u64(at), u32(0, part.length), part));
    }
    peer.command(3, 9, regionRead(4, 0));
    expect((await peer.reply(3)).payload).toEqual(regionRead(4, 0));
    peer.close();
  });

  it.each([
    ["a region that does not exist", 9, regionRead(0, 4, 9)],
    ["a region without bytes", 9, regionRead(0, 1, 3)],
    ["the byte behind the end", 9, regionRead(BAR_BYTES - 3, 4)],
    ["an offset near 2^64", 9, join(u64(0xffff_ffff_ffff_fffen), u32(0, 4))],
    ["a read with data", 9, join(regionRead(0, 4), u32(0))],
    ["a write shorter than its count", 10, join(u64(0), u32(0, 8, 1))],
    ["a write longer than its count", 10, join(u64(0), u32(0, 1, 1))],
    ["a count of 4 GiB", 9, regionRead(0, 0xffff_ffff)],
    ["a struct cut short", 9, u64(0)],
  ])("refuses an access to %s", async (_name, command, payload) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, command, payload);
    expect(await errno(peer, 1)).toBe(EINVAL);
    peer.close();
  });

  it("sends nothing back for messages that want no reply, not even errors", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 10, regionWrite(0, Uint8Array.of(5)), { flags: 0x10 });
    peer.command(2, 10, regionWrite(BAR_BYTES, Uint8Array.of(5)), { flags: 0x10 });
    peer.command(3, 99, u32(), { flags: 0x10 });
    peer.command(4, 9, regionRead(0, 1));
    expect((await peer.reply(4)).payload.at(-1)).toBe(5);
    expect(peer.replies).toEqual([]);
    peer.close();
  });

  it.each([
    [0, 38],
    [6, 95],
    [11, 38],
    [14, 38],
    [15, 38],
    [99, 38],
    [1, 38],
  ])("answers command %i, which it does not serve, with errno %i", async (command, expected) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, command, u32(16, 0, 0, 0));
    expect(await errno(peer, 1)).toBe(expected);
    peer.command(2, 9, regionRead(0, 1));
    expect(await errno(peer, 2)).toBe(0);
    peer.close();
  });

  it("gives each fd of pipelined messages to its own message", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const files = [1, 2, 3].map((n) => {
      const fd = all.io.memfd(`guest ${n}`, 4096 * n);
      using memory = all.io.mmap(fd, 4096);
      memory.bytes[0] = n;
      return fd;
    });
    // As QEMU does before it asks anything: maps with and without fd, mixed with small messages.
    peer.command(10, 2, dmaMap(0, 4096), { fds: files.slice(0, 1) });
    peer.command(11, 9, regionRead(0, 4));
    peer.command(12, 2, dmaMap(0x10_0000, 8192), { fds: files.slice(1, 2) });
    peer.command(13, 2, dmaMap(0x20_0000, 4096, 0, 1));
    peer.command(14, 2, dmaMap(0x30_0000, 4096, 8192), { fds: files.slice(2, 3) });
    for (const id of [10, 11, 12, 13, 14]) expect(await errno(peer, id)).toBe(0);
    const { mappings } = all.device;
    expect(mappings.get(0n)?.memory?.bytes[0]).toBe(1);
    expect(mappings.get(0x10_0000n)?.memory?.bytes[0]).toBe(2);
    expect(mappings.get(0x20_0000n)?.memory).toBeUndefined();
    expect(mappings.get(0x20_0000n)).toMatchObject({ read: true, write: false });
    expect(mappings.get(0x30_0000n)?.memory?.bytes[0]).toBe(0);
    for (const fd of files) all.io.close(fd);
    peer.close();
    await all.clientsGone(1);
    expect(mappings.size).toBe(0);
  });

  it("lets the device store into the memory that the client mapped", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const fd = all.io.memfd("guest", 8192);
    using memory = all.io.mmap(fd, 8192);
    peer.command(1, 2, dmaMap(0x8000, 8192), { fds: [fd] });
    // Right behind the mapping, in the same bytes.
    peer.command(2, 10, regionWrite(REGISTER.STORE, u32(0x9004)));
    expect(await errno(peer, 2)).toBe(0);
    expect(memory.bytes[0x1004]).toBe(0xd0);
    all.io.close(fd);
    peer.close();
  });

  it.each([
    ["overlapping another", dmaMap(0x1000, 4096), 17],
    ["around another", dmaMap(0, 0x4000), 17],
    ["of no bytes", dmaMap(0x8000, 0), EINVAL],
    ["off a page border", dmaMap(0x8010, 4096), EINVAL],
    ["of part of a page", dmaMap(0x8000, 100), EINVAL],
    ["beyond the end of its file", dmaMap(0x8000, 8192), EINVAL],
    ["from behind the end of its file", dmaMap(0x8000, 4096, 4096), EINVAL],
    [
      "from a file offset near 2^64",
      join(u32(32, 3), u64(0xffff_ffff_ffff_f000n, 0x8000, 4096)),
      EINVAL,
    ],
    ["without direction", dmaMap(0x8000, 4096, 0, 0), EINVAL],
    ["with unknown flags", dmaMap(0x8000, 4096, 0, 7), EINVAL],
    ["of a struct cut short", dmaMap(0x8000, 4096).subarray(0, 24), EINVAL],
  ])("refuses a mapping %s and closes its fd", async (_name, payload, expected) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const fd = all.io.memfd("guest", 4096);
    peer.command(1, 2, dmaMap(0x1000, 4096), { fds: [fd] });
    expect(await errno(peer, 1)).toBe(0);
    const before = all.openFds();
    peer.command(2, 2, payload, { fds: [fd] });
    expect(await errno(peer, 2)).toBe(expected);
    expect(all.openFds()).toBe(before);
    expect(all.device.mappings.size).toBe(1);
    all.io.close(fd);
    peer.close();
  });

  it("refuses an eventfd as memory, memory as an eventfd, and two fds for one mapping", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const [memory, event] = [all.io.memfd("guest", 4096), all.io.eventfd()];
    const before = all.openFds();
    peer.command(1, 2, dmaMap(0, 4096), { fds: [event] });
    expect(await errno(peer, 1)).toBe(EINVAL);
    peer.command(2, 8, u32(20, 0x24, 2, 0, 1), { fds: [memory] });
    expect(await errno(peer, 2)).toBe(EINVAL);
    peer.command(3, 2, dmaMap(0, 4096), { fds: [memory, memory] });
    expect(await errno(peer, 3)).toBe(EINVAL);
    expect(all.openFds()).toBe(before);
    all.io.close(memory);
    all.io.close(event);
    peer.close();
  });

  it("unmaps one mapping exactly, or all", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    for (const [id, iova] of [0x1000, 0x2000, 0x3000].entries()) {
      peer.command(id, 2, dmaMap(iova, 4096));
      expect(await errno(peer, id)).toBe(0);
    }
    peer.command(4, 3, dmaUnmap(0x1000, 8192));
    expect(await errno(peer, 4)).toBe(2);
    peer.command(5, 3, dmaUnmap(0x2000, 4096, 3));
    expect(await errno(peer, 5)).toBe(95);
    peer.command(6, 3, dmaUnmap(0x2000, 4096));
    expect((await peer.reply(6)).payload).toEqual(dmaUnmap(0x2000, 4096));
    expect([...all.device.mappings.keys()]).toEqual([0x1000n, 0x3000n]);
    peer.command(7, 3, dmaUnmap(0x1000, 0, 2));
    expect(await errno(peer, 7)).toBe(EINVAL);
    peer.command(8, 3, dmaUnmap(0, 0, 2));
    expect((await peer.reply(8)).payload).toEqual(dmaUnmap(0, 0, 2));
    expect(all.device.mappings.size).toBe(0);
    peer.close();
  });

  it("answers an unmap after the last use has ended; a mapping behind it waits, accesses do not", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const fd = all.io.memfd("guest", 4096);
    peer.command(1, 2, dmaMap(0, 4096), { fds: [fd] });
    expect(await errno(peer, 1)).toBe(0);
    const bytes = all.device.mappings.get(0n)?.memory?.bytes;
    all.device.unmapGate = new Gate();
    peer.command(2, 3, dmaUnmap(0, 4096));
    peer.command(3, 2, dmaMap(0, 4096), { fds: [fd] });
    peer.command(4, 9, regionRead(0, 4));
    expect(await errno(peer, 4)).toBe(0);
    expect(peer.replies).toEqual([]);
    expect(all.device.mappings.get(0n)?.memory?.bytes).toBe(bytes);
    all.device.unmapGate.open();
    expect(await errno(peer, 2)).toBe(0);
    expect(await errno(peer, 3)).toBe(0);
    expect(bytes).toHaveLength(0);
    expect(all.device.mappings.size).toBe(1);
    all.io.close(fd);
    peer.close();
  });

  it("keeps a mapping that the device refuses to give up", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 2, dmaMap(0, 4096));
    all.device.unmapFailure = new VfmigError("ERR_VFMIG_DMA_UNMAP", "in use", { layer: "testkit" });
    peer.command(2, 3, dmaUnmap(0, 4096));
    expect(await errno(peer, 2)).toBe(2);
    all.device.unmapFailure = undefined;
    peer.command(3, 3, dmaUnmap(0, 4096));
    expect(await errno(peer, 3)).toBe(0);
    peer.close();
  });

  it("sets, replaces, fires, takes away and disables vectors, closing what was replaced", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const [a, b, c] = [all.io.eventfd(), all.io.eventfd(), all.io.eventfd()];
    const base = all.openFds();
    peer.command(1, 8, u32(20, 0x24, 2, 0, 2), { fds: [a, b] });
    expect(await errno(peer, 1)).toBe(0);
    expect(all.openFds()).toBe(base + 2);
    peer.command(2, 10, regionWrite(REGISTER.RAISE, Uint8Array.of(1)));
    expect(await errno(peer, 2)).toBe(0);
    expect([all.io.drainEventfd(a), all.io.drainEventfd(b)]).toEqual([0, 1]);
    peer.command(3, 8, u32(20, 0x24, 2, 1, 1), { fds: [c] });
    expect(await errno(peer, 3)).toBe(0);
    expect(all.openFds()).toBe(base + 2);
    peer.command(4, 8, u32(20, 0x21, 2, 0, 2));
    expect(await errno(peer, 4)).toBe(0);
    expect([a, b, c].map((fd) => all.io.drainEventfd(fd))).toEqual([1, 0, 1]);
    peer.command(5, 8, join(u32(22, 0x22, 2, 0, 2), Uint8Array.of(0, 1)));
    expect(await errno(peer, 5)).toBe(0);
    expect([a, b, c].map((fd) => all.io.drainEventfd(fd))).toEqual([0, 0, 1]);
    peer.command(6, 8, u32(20, 0x24, 2, 0, 1));
    expect(await errno(peer, 6)).toBe(0);
    expect(all.openFds()).toBe(base + 1);
    expect(all.device.vectors[0]).toBeUndefined();
    peer.command(7, 8, u32(20, 0x21, 2, 0, 0));
    expect(await errno(peer, 7)).toBe(0);
    expect(all.openFds()).toBe(base);
    expect(all.device.vectors).toEqual([]);
    for (const fd of [a, b, c]) all.io.close(fd);
    peer.close();
  });

  it("passes masks and their eventfds to the device", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const fd = all.io.eventfd();
    peer.command(1, 8, u32(20, 0x09, 0, 0, 1));
    peer.command(2, 8, u32(20, 0x14, 0, 0, 1), { fds: [fd] });
    peer.command(3, 8, u32(20, 0x11, 0, 0, 1));
    for (const id of [1, 2, 3]) expect(await errno(peer, id)).toBe(0);
    expect(all.device.irqRequests.map(({ action, data }) => [action, data.kind])).toEqual([
      ["mask", "none"],
      ["unmask", "event"],
      ["unmask", "none"],
    ]);
    all.io.close(fd);
    peer.close();
  });

  it.each([
    ["two actions", u32(20, 0x38, 2, 0, 1), 0],
    ["two data types", u32(20, 0x23, 2, 0, 1), 0],
    ["no action", u32(20, 0x01, 2, 0, 1), 0],
    ["an unknown flag", u32(20, 0x61, 2, 0, 1), 0],
    ["an index that does not exist", u32(20, 0x21, 5, 0, 1), 0],
    ["a vector too many", u32(20, 0x21, 2, 63, 2), 0],
    ["a start that would wrap", u32(20, 0x21, 2, 0xffff_ffff, 1), 0],
    ["a count that would wrap", u32(20, 0x21, 2, 1, 0xffff_ffff), 0],
    ["no vectors, but a start", u32(20, 0x21, 2, 1, 0), 0],
    ["no vectors, but events", u32(20, 0x24, 2, 0, 0), 0],
    ["fewer booleans than vectors", join(u32(21, 0x22, 2, 0, 2), Uint8Array.of(1)), 0],
    ["fewer fds than vectors", u32(20, 0x24, 2, 0, 2), 1],
    ["fds that no event wants", u32(20, 0x21, 2, 0, 1), 1],
    ["a struct cut short", u32(20, 0x21, 2, 0), 0],
  ])("refuses interrupts with %s and closes their fds", async (_name, payload, fds) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const fd = all.io.eventfd();
    const before = all.openFds();
    peer.command(1, 8, payload, { fds: Array.from({ length: fds }, () => fd) });
    expect(await errno(peer, 1)).toBe(EINVAL);
    expect(all.openFds()).toBe(before);
    expect(all.device.irqRequests).toEqual([]);
    all.io.close(fd);
    peer.close();
  });

  it("answers probes by echo where the feature and its direction exist", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    for (const flags of [1 | GET, 2 | GET | SET, 6 | SET, 7 | SET, 8 | GET, 9 | GET, 1]) {
      const request = u32(8, flags | PROBE);
      peer.command(1, 16, request);
      expect((await peer.reply(1)).payload).toEqual(request);
    }
    for (const [flags, expected] of [
      [1 | SET, EINVAL],
      [6 | GET, EINVAL],
      [0 | SET, 25],
      [10 | SET, 25],
      [0xffff | GET, 25],
    ] as const) {
      peer.command(2, 16, u32(8, flags | PROBE));
      expect(await errno(peer, 2)).toBe(expected);
    }
    peer.close();
  });

  it("moves the device's state by messages", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 16, u32(16, 1 | GET));
    expect((await peer.reply(1)).payload).toEqual(join(u32(16, 1 | GET), u64(7)));
    all.device.bar.fill(0xab);
    peer.command(2, 16, setState(3));
    expect((await peer.reply(2)).payload).toEqual(join(u32(16, 2 | SET), u32(3, 0xffff_ffff)));
    peer.command(3, 16, u32(16, 9 | GET));
    expect((await peer.reply(3)).payload).toEqual(join(u32(16, 9 | GET), u64(BAR_BYTES)));
    const chunks: Uint8Array[] = [];
    for (let id = 4; ; id += 1) {
      // QEMU's branch pads its request to the full size.
      peer.command(id, 17, join(u32(3008, 3000), new Uint8Array(3000)));
      const { payload } = await peer.reply(id);
      expect(payload).toHaveLength(3008);
      const got = new DataView(payload.buffer).getUint32(4, true);
      expect(payload.subarray(0, 8)).toEqual(u32(8 + got, got));
      if (got === 0) break;
      chunks.push(payload.slice(8, 8 + got));
    }
    const state = join(...chunks);
    expect(state).toEqual(all.device.bar);
    all.device.bar.fill(0);
    peer.command(50, 16, setState(4));
    peer.command(51, 18, join(u32(8 + 5000, 5000), state.subarray(0, 5000)));
    peer.command(52, 18, join(u32(8 + 3192, 3192), state.subarray(5000)));
    peer.command(53, 16, setState(1));
    peer.command(54, 16, u32(16, 2 | GET));
    for (const id of [50, 51, 52, 53]) expect(await errno(peer, id)).toBe(0);
    expect((await peer.reply(54)).payload.subarray(8, 12)).toEqual(u32(1));
    expect(all.device.bar).toEqual(state);
    peer.command(60, 19, u32(24, 0, 0, 0, 0, 0));
    expect((await peer.reply(60)).payload).toEqual(join(u32(24, 1), u64(11, 22)));
    peer.close();
  });

  it.each([
    ["a state that does not exist", 16, setState(8), EINVAL],
    ["the state ERROR", 16, setState(0), EINVAL],
    ["a state cut short", 16, join(u32(16, 2 | SET), new Uint8Array(3)), EINVAL],
    ["data outside a session", 17, u32(16, 8), EINVAL],
    ["data written outside a session", 18, u32(9, 1, 1), EINVAL],
    ["more data than a message holds", 17, u32(2_000_008, 2_000_000), EINVAL],
    ["a read whose argsz is too small", 17, u32(8, 100), EINVAL],
    ["a write shorter than it says", 18, u32(108, 100), EINVAL],
  ])("refuses %s", async (_name, command, payload, expected) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, command, payload);
    expect(await errno(peer, 1)).toBe(expected);
    peer.close();
  });

  it("serves accesses, maps and interrupts while a state change runs; a later change waits", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const gate = new Gate();
    all.device.migration.gate = gate;
    peer.command(1, 16, setState(1));
    peer.command(2, 16, setState(2));
    peer.command(3, 16, u32(16, 2 | GET));
    peer.command(4, 10, regionWrite(0, Uint8Array.of(6)));
    peer.command(5, 2, dmaMap(0, 4096));
    peer.command(6, 8, u32(20, 0x21, 2, 0, 0));
    peer.command(7, 9, regionRead(0, 1));
    for (const id of [4, 5, 6]) expect(await errno(peer, id)).toBe(0);
    expect((await peer.reply(7)).payload.at(-1)).toBe(6);
    expect(peer.replies).toEqual([]);
    expect(all.device.migration.walked).toEqual([]);
    gate.open();
    for (const id of [1, 2, 3]) expect(await errno(peer, id)).toBe(0);
    expect(all.device.migration.walked).toEqual(["stop", "running"]);
    peer.close();
  });

  it("lets a reset cancel the state change that runs and those that wait; later ones wait for it", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    all.device.migration.gate = new Gate();
    peer.command(1, 16, setState(1));
    peer.command(2, 16, setState(3));
    peer.command(3, 9, regionRead(0, 1));
    expect(await errno(peer, 3)).toBe(0);
    all.device.resetGate = new Gate();
    peer.command(4, 13);
    expect(await errno(peer, 1)).toBe(125);
    expect(await errno(peer, 2)).toBe(125);
    all.device.migration.gate = undefined;
    peer.command(5, 16, setState(1));
    peer.command(6, 9, regionRead(0, 1));
    expect(await errno(peer, 6)).toBe(0);
    expect(all.device.migration.walked).toEqual([]);
    all.device.resetGate.open();
    expect(await errno(peer, 4)).toBe(0);
    expect(await errno(peer, 5)).toBe(0);
    expect(all.device.migration.walked).toEqual(["stop"]);
    peer.close();
  });

  it("starts, reads and stops the log of the device's writes", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const fd = all.io.memfd("guest", 0x8000);
    peer.command(1, 2, dmaMap(0x10000, 0x8000), { fds: [fd] });
    const start = join(u32(40, 6 | SET), u64(8192), u32(1, 0), u64(0x10000, 0x8000));
    peer.command(2, 16, start);
    const granted = await peer.reply(2);
    expect(granted.payload).toEqual(
      join(u32(40, 6 | SET), u64(4096), u32(1, 0), u64(0x10000, 0x8000)),
    );
    expect(all.device.dmaLogging.started).toEqual({
      pageSize: 8192,
      ranges: [{ iova: 0x10000n, size: 0x8000n }],
    });
    peer.command(3, 10, regionWrite(REGISTER.STORE, u32(0x13004)), { flags: 0x10 });
    const report = join(u64(0x10000), u64(0x8000), u64(4096));
    peer.command(4, 16, join(u32(32, 8 | GET), report));
    // No room for the bitmap: the answer says how much, and the log is not cleared.
    expect((await peer.reply(4)).payload).toEqual(join(u32(40, 8 | GET), report));
    peer.command(5, 16, join(u32(40, 8 | GET), report));
    expect((await peer.reply(5)).payload).toEqual(join(u32(40, 8 | GET), report, u64(8)));
    peer.command(6, 16, join(u32(40, 8 | GET), report));
    expect((await peer.reply(6)).payload.subarray(32)).toEqual(u64(0));
    peer.command(7, 16, u32(8, 7 | SET));
    expect((await peer.reply(7)).payload).toEqual(u32(8, 7 | SET));
    expect(all.device.dmaLogging.started).toBeUndefined();
    all.io.close(fd);
    peer.close();
  });

  it.each([
    ["a page size that is no power of two", join(u32(24, 6 | SET), u64(5000), u32(0, 0)), EINVAL],
    ["more ranges than it carries", join(u32(24, 6 | SET), u64(4096), u32(3, 0)), EINVAL],
    ["four thousand million ranges", join(u32(24, 6 | SET), u64(4096), u32(0xffff_ffff, 0)), 7],
    ["an empty range", join(u32(40, 6 | SET), u64(4096), u32(1, 0), u64(0, 0)), EINVAL],
    ["a bitmap of 2^49 bytes", join(u32(32, 8 | GET), u64(0, 0xffff_ffff_ffff_f000n, 4096)), 7],
    ["a range past 2^64", join(u32(32, 8 | GET), u64(0xffff_ffff_ffff_f000n, 8192, 4096)), EINVAL],
  ])("refuses a log request with %s", async (_name, payload, expected) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 16, payload);
    expect(await errno(peer, 1)).toBe(expected);
    peer.close();
  });

  it("ends the connection at a message larger than agreed, and serves the next client", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const head = message(1, 10, new Uint8Array(0));
    new DataView(head.buffer).setUint32(4, 2_000_000, true);
    peer.send(head);
    await peer.ended;
    peer.close();
    const next = await all.negotiated();
    next.command(1, 9, regionRead(0, 4));
    expect(await errno(next, 1)).toBe(0);
    next.close();
  });

  it("serves one client at a time and the waiting one afterwards", async () => {
    await using all = Harness.of(testIo);
    const first = await all.negotiated();
    const second = all.connect();
    const waiting = second.negotiate();
    first.command(1, 9, regionRead(0, 4));
    expect(await errno(first, 1)).toBe(0);
    expect(second.replies).toEqual([]);
    first.close();
    expect((await waiting).flags).toBe(1);
    second.close();
  });

  it("ends a served socket's server with its client", async () => {
    const { io } = testIo.open();
    const [ours, theirs] = io.socketPair();
    const { createVfioUserServer } = await import("./server.ts");
    const { MemoryDevice } = await import("../testing/memory-device.ts");
    const { RawPeer } = await import("../testing/raw-peer.ts");
    const server = createVfioUserServer({ io, device: new MemoryDevice(), fd: theirs });
    const peer = new RawPeer(io, ours);
    await peer.negotiate();
    peer.close();
    await server.closed;
    expect(server.busy).toBe(false);
  });
});
