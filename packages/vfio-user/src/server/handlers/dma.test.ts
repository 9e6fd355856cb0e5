import { Harness } from "../../testing/harness.ts";
import { Gate, REGISTER } from "../../testing/memory-device.ts";
import { join, u32, u64 } from "../../testing/raw-peer.ts";
import {
  EINVAL,
  dmaMap,
  dmaUnmap,
  errno,
  regionRead,
  regionWrite,
} from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { VfmigError } from "@vfmig/core";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("guest memory of a vfio-user server $name", (testIo) => {
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
    expect(await errno(peer, 5)).toBe(EINVAL);
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
});
