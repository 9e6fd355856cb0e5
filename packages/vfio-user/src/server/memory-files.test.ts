import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLinuxIo } from "@vfmig/linux";
import { afterEach, describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { dmaMap, dmaUnmap, EINVAL, errno } from "../testing/requests.ts";
import { TEST_IOS, type TestIo } from "../testing/test-io.ts";
import { MemoryFiles } from "./memory-files.ts";

const PAGE = 4096;
const LINUX = TEST_IOS.find(({ name }) => name === "on Linux") as TestIo;

describe.each(TEST_IOS)("the files behind guest memory $name", (testIo) => {
  it("are mapped once, whatever number of mappings lies in them", async () => {
    const opened = testIo.open();
    const { io } = opened;
    const openFds = (): number => opened.openFds();
    const fd = io.memfd("guest", 64 * PAGE);
    const files = new MemoryFiles(io, "in-memory");
    const before = openFds();
    const parts = Array.from({ length: 64 }, (_, i) =>
      files.open(fd, BigInt(i * PAGE), BigInt(PAGE), true),
    );
    expect([files.extents, openFds()]).toEqual([1, before + 1]);
    using whole = io.mmap(fd, 64 * PAGE);
    for (const [i, part] of parts.entries()) part.bytes[0] = i + 1;
    expect(parts.map((_, i) => whole.bytes[i * PAGE])).toEqual(parts.map((_, i) => i + 1));
    expect(parts[3]?.fdOffset).toBe(BigInt(3 * PAGE));
    expect((parts[3]?.address ?? 0n) - (parts[0]?.address ?? 0n)).toBe(BigInt(3 * PAGE));
    for (const part of parts) {
      part[Symbol.dispose]();
      part[Symbol.dispose]();
      expect(part.bytes).toHaveLength(0);
    }
    expect(files.extents).toBe(0);
    io.close(fd);
  });

  it("are mapped apart for reading only", () => {
    const { io } = testIo.open();
    const fd = io.memfd("guest", 2 * PAGE);
    const files = new MemoryFiles(io, "in-memory");
    const writable = files.open(fd, 0n, BigInt(PAGE), true);
    const readable = files.open(fd, BigInt(PAGE), BigInt(PAGE), false);
    expect(files.extents).toBe(2);
    writable[Symbol.dispose]();
    expect([files.extents, readable.bytes.length]).toEqual([1, PAGE]);
    readable[Symbol.dispose]();
    expect(files.extents).toBe(0);
    io.close(fd);
  });

  it("are kept apart by what they are, not by their descriptor", () => {
    const { io } = testIo.open();
    const files = new MemoryFiles(io, "in-memory");
    const first = io.memfd("a", PAGE);
    const same = io.dup(first);
    const other = io.memfd("b", PAGE);
    const parts = [first, same, other].map((fd) => files.open(fd, 0n, BigInt(PAGE), true));
    expect(files.extents).toBe(2);
    for (const fd of [first, same, other]) io.close(fd);
    for (const part of parts) part[Symbol.dispose]();
    expect(files.extents).toBe(0);
  });

  it("are not mapped where they are too short, and nothing is left of the attempt", () => {
    const opened = testIo.open();
    const { io } = opened;
    const openFds = (): number => opened.openFds();
    const fd = io.memfd("guest", PAGE);
    const files = new MemoryFiles(io, "in-memory");
    const before = openFds();
    for (const [offset, size] of [
      [0n, 2n * BigInt(PAGE)],
      [BigInt(PAGE), BigInt(PAGE)],
      [0n, 1n << 60n],
      [1n << 62n, BigInt(PAGE)],
    ] as const) {
      expect(() => files.open(fd, offset, size, true)).toThrow("enlarge the file");
    }
    expect([files.extents, openFds()]).toEqual([0, before]);
    io.close(fd);
  });
});

describe("the files behind guest memory, as Linux has them", () => {
  const io = createLinuxIo();
  const folders: string[] = [];

  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  function file(folder: string, size: number, flags = "w+"): number {
    const made = mkdtempSync(join(folder, "vfmig-"));
    folders.push(made);
    const fd = openSync(join(made, "memory"), flags);
    ftruncateSync(fd, size);
    return fd;
  }

  it("may lie on tmpfs, and grow: what needs more is mapped anew", () => {
    const fd = file("/dev/shm", PAGE);
    const files = new MemoryFiles(io, "in-memory");
    const small = files.open(fd, 0n, BigInt(PAGE), true);
    ftruncateSync(fd, 3 * PAGE);
    const large = files.open(fd, 0n, BigInt(3 * PAGE), true);
    const again = files.open(fd, BigInt(2 * PAGE), BigInt(PAGE), true);
    expect(files.extents).toBe(2);
    small.bytes[1] = 7;
    expect(large.bytes[1]).toBe(7);
    again.bytes[0] = 8;
    expect(large.bytes[2 * PAGE]).toBe(8);
    small[Symbol.dispose]();
    expect(files.extents).toBe(1);
    large[Symbol.dispose]();
    again[Symbol.dispose]();
    closeSync(fd);
  });

  it("must be sealed where that is demanded", () => {
    const unsealed = file("/dev/shm", PAGE);
    const sealed = io.memfd("sealed", PAGE);
    const files = new MemoryFiles(io, "sealed");
    expect(() => files.open(unsealed, 0n, BigInt(PAGE), true)).toThrow("F_SEAL_SHRINK");
    files.open(sealed, 0n, BigInt(PAGE), true)[Symbol.dispose]();
    closeSync(unsealed);
    io.close(sealed);
  });

  it.each([
    ["a directory", "/", "r"],
    ["a device", "/dev/zero", "r+"],
    ["a device that never answers", "/dev/null", "r+"],
    ["a file of the kernel", "/proc/self/maps", "r"],
  ])("are not %s", (_name, path, flags) => {
    const fd = openSync(path, flags);
    const files = new MemoryFiles(io, "in-memory");
    expect(() => files.open(fd, 0n, BigInt(PAGE), flags === "r+")).toThrow("DMA_MAP");
    expect(files.extents).toBe(0);
    closeSync(fd);
  });

  it("are not on a disk, unless that is allowed", () => {
    const folder = mkdtempSync(join(tmpdir(), "vfmig-"));
    folders.push(folder);
    const fd = openSync(join(folder, "memory"), "w+");
    ftruncateSync(fd, PAGE);
    const onDisk = !io.identify(fd).inMemory;
    const strict = new MemoryFiles(io, "in-memory");
    if (onDisk) {
      expect(() => strict.open(fd, 0n, BigInt(PAGE), true)).toThrow('memoryFiles: "any"');
    }
    new MemoryFiles(io, "any").open(fd, 0n, BigInt(PAGE), true)[Symbol.dispose]();
    closeSync(fd);
  });

  it("are not written where the client may only read them", () => {
    const writable = file("/dev/shm", PAGE);
    const fd = openSync(`/proc/self/fd/${writable}`, "r");
    const files = new MemoryFiles(io, "in-memory");
    expect(() => files.open(fd, 0n, BigInt(PAGE), true)).toThrow("EACCES");
    files.open(fd, 0n, BigInt(PAGE), false)[Symbol.dispose]();
    expect(files.extents).toBe(0);
    closeSync(fd);
    closeSync(writable);
  });
});

describe("a client with very many mappings", () => {
  it("costs this process one mapping and one descriptor", async () => {
    await using all = Harness.of(LINUX);
    const peer = await all.negotiated();
    const count = 20_000;
    const fd = all.io.memfd("many-maps", 64 * PAGE);
    const areas = (): number =>
      readFileSync("/proc/self/maps", "utf8").split("memfd:many-maps").length - 1;
    const fds = all.openFds();
    for (let i = 0; i < count; i += 1) {
      // Every second page of address space, so that nothing can be merged.
      peer.command(i & 0xffff, 2, dmaMap(i * 2 * PAGE, PAGE, (i % 64) * PAGE), { fds: [fd] });
      if (i % 16 === 15) expect(await errno(peer, i & 0xffff)).toBe(0);
    }
    peer.command(0x7001, 9, new Uint8Array(0));
    await peer.reply(0x7001);
    expect(all.device.mappings.size).toBe(count);
    expect(areas()).toBe(1);
    expect(all.openFds()).toBe(fds + 1);
    const written = all.device.mappings.get(BigInt(70 * 2 * PAGE))?.memory?.bytes;
    if (written !== undefined) written[3] = 99;
    using whole = all.io.mmap(fd, 64 * PAGE);
    expect(whole.bytes[6 * PAGE + 3]).toBe(99);
    peer.command(0x7002, 3, dmaUnmap(0, 0, 2));
    expect(await errno(peer, 0x7002)).toBe(0);
    expect(written).toHaveLength(0);
    expect(all.openFds()).toBe(fds + 1);
    all.io.close(fd);
    peer.close();
  }, 30_000);

  it("is refused the mapping beyond the number agreed upon", async () => {
    await using all = Harness.of(LINUX);
    const peer = all.connect();
    await peer.negotiate('{"capabilities":{"max_dma_maps":2}}');
    for (const [id, iova] of [0x1000, 0x2000].entries()) {
      peer.command(id, 2, dmaMap(iova, PAGE));
      expect(await errno(peer, id)).toBe(0);
    }
    peer.command(3, 2, dmaMap(0x3000, PAGE));
    expect(await errno(peer, 3)).toBe(28);
    peer.command(4, 2, dmaMap(0x3000, 100));
    expect(await errno(peer, 4)).toBe(EINVAL);
    peer.close();
  });
});
