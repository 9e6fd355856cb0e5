import { Harness } from "../../testing/harness.ts";
import { BAR_BYTES } from "../../testing/memory-device.ts";
import { join, u32, u64 } from "../../testing/raw-peer.ts";
import { EINVAL, errno, regionRead, regionWrite } from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("regions of a vfio-user server $name", (testIo) => {
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
    expect([...all.device.noted]).toEqual([]);
    peer.command(3, 5, join(u32(80, 0, 2, 0), u64(0, 0)));
    for (const each of (await peer.reply(3)).fds) all.io.close(each);
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
    expect([...all.device.noted]).toEqual(["2/0", "2/8192"]);
    peer.close();
    await all.clientsGone(1);
    expect([...all.device.noted]).toEqual([]);
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
});
