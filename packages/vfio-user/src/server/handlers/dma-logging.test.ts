import { Harness } from "../../testing/harness.ts";
import { REGISTER } from "../../testing/memory-device.ts";
import { join, u32, u64 } from "../../testing/raw-peer.ts";
import { EINVAL, GET, SET, dmaMap, errno, regionWrite } from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("the dirty log of a vfio-user server $name", (testIo) => {
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
});
