import { Harness } from "../../testing/harness.ts";
import { REGISTER } from "../../testing/memory-device.ts";
import { join, u32 } from "../../testing/raw-peer.ts";
import { EINVAL, errno, regionWrite } from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("interrupts of a vfio-user server $name", (testIo) => {
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
});
