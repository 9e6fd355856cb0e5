import { connectVfioUser } from "../../client/client.ts";
import type { RegionIoFd } from "../../codec/region-io-fds.ts";
import { readRegionIoFds } from "../../codec/region-io-fds.ts";
import { Harness } from "../../testing/harness.ts";
import { u32, join, u64 } from "../../testing/raw-peer.ts";
import { EINVAL, errno } from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("the io fds of a region $name", (testIo) => {
  it("are those that the server's owner offers", async () => {
    const opened = testIo.open();
    const fds = [opened.io.eventfd(), opened.io.eventfd()];
    const entries = fds.map((fd, i): RegionIoFd => ({
      offset: 64 * i,
      size: 4,
      type: "ioeventfd",
      flags: 1,
      dataMatch: BigInt(i),
      fd,
    }));
    await using all = Harness.of(
      { ...testIo, open: () => opened },
      { ioFds: (region) => (region === 0 ? entries : []) },
    );
    const before = all.openFds();
    const client = await connectVfioUser({ io: all.io, path: all.path });
    const got = await client.regionIoFds(0);
    expect(got).toEqual(entries.map((entry) => ({ ...entry, fd: expect.any(Number) })));
    all.io.signalEventfd(got[1]?.fd ?? -1);
    expect(fds.map((fd) => all.io.drainEventfd(fd))).toEqual([0, 1]);
    for (const { fd } of got) all.io.close(fd);
    await expect(client.regionIoFds(1)).rejects.toMatchObject({ details: { errno: 95 } });
    await expect(client.regionIoFds(77)).rejects.toMatchObject({ details: { errno: EINVAL } });
    await client.close();
    await all.clientsGone(1);
    expect(all.openFds()).toBe(before);
    for (const fd of fds) all.io.close(fd);
  });

  it("come with a head only where there is no room for more, and never more than the client takes", async () => {
    const opened = testIo.open();
    const fd = opened.io.eventfd();
    const entry: RegionIoFd = {
      offset: 0,
      size: 4,
      type: "ioregionfd",
      flags: 0,
      dataMatch: 5n,
      fd,
    };
    await using all = Harness.of(
      { ...testIo, open: () => opened },
      { ioFds: () => [entry, entry, entry] },
    );
    const peer = all.connect();
    await peer.negotiate('{"capabilities":{"max_msg_fds":2}}');
    peer.command(1, 6, u32(16, 0, 0, 0));
    const head = await peer.reply(1);
    expect([head.payload, head.fds]).toEqual([u32(16 + 80, 0, 0, 2), []]);
    peer.command(2, 6, u32(200, 0, 0, 0));
    const whole = await peer.reply(2);
    expect([whole.payload.length, whole.fds.length]).toEqual([96, 2]);
    expect(whole.payload.subarray(16, 56)).toEqual(join(u64(0, 4), u32(0, 1, 0, 0), u64(5)));
    for (const each of whole.fds) all.io.close(each);
    peer.command(3, 6, u32(15, 0, 0, 0));
    peer.command(4, 6, u32(16, 1, 0, 0));
    peer.command(5, 6, u32(16, 0, 0));
    for (const id of [3, 4, 5]) expect(await errno(peer, id)).toBe(EINVAL);
    all.io.close(fd);
    peer.close();
  });
});

describe("io fds of libvfio-user", () => {
  it("are read in its own layout of 48 bytes, and refused in any other", () => {
    const payload = join(u32(16 + 48, 0, 0, 1), u64(128, 8), u32(0, 0, 2, 0), u64(0, 77));
    const view = new DataView(payload.buffer);
    expect(readRegionIoFds(view, 0, payload.length, [9]).entries).toEqual([
      { offset: 128, size: 8, type: "ioeventfd", flags: 2, dataMatch: 77n, fd: 9 },
    ]);
    expect(() => readRegionIoFds(view, 0, payload.length, [])).toThrow("no fd");
    view.setUint32(12, 2, true);
    expect(() => readRegionIoFds(view, 0, payload.length, [9])).toThrow("no known layout");
    view.setUint32(12, 0xffff_ffff, true);
    expect(() => readRegionIoFds(view, 0, payload.length, [9])).toThrow("no known layout");
  });
});
