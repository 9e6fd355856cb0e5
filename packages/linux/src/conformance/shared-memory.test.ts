import { expect, test } from "vitest";
import { describeNativeIo, failure } from "../testing/native-io-rig.ts";

describeNativeIo("shared memory", (rig) => {
  test("mappings of one memfd show each other's writes, at their offsets", () => {
    const fd = rig.own(rig.io.memfd("m", 2 * rig.io.pageSize));
    const whole = rig.own(rig.io.mmap(fd, 2 * rig.io.pageSize));
    const second = rig.own(rig.io.mmap(fd, rig.io.pageSize, { offset: BigInt(rig.io.pageSize) }));
    whole.bytes[rig.io.pageSize + 3] = 42;
    second.bytes[4] = 43;
    expect(second.bytes[3]).toBe(42);
    expect(whole.bytes[rig.io.pageSize + 4]).toBe(43);
    expect(whole.bytes.length).toBe(2 * rig.io.pageSize);
    expect(second.fdOffset).toBe(BigInt(rig.io.pageSize));
    expect(second.address).not.toBe(whole.address);
  });

  test("a mapping outlives the descriptor that it was made from", () => {
    const fd = rig.io.memfd("m", rig.io.pageSize);
    const memory = rig.own(rig.io.mmap(fd, rig.io.pageSize));
    rig.io.close(fd);
    memory.bytes[0] = 9;
    const again = rig.own(rig.io.mmap(memory.fd, rig.io.pageSize));
    expect(again.bytes[0]).toBe(9);
  });

  test("unmapping leaves views without bytes instead of dangling, and keeps the file", () => {
    const fd = rig.own(rig.io.memfd("m", rig.io.pageSize));
    const memory = rig.io.mmap(fd, rig.io.pageSize);
    const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, 8);
    const part = memory.bytes.subarray(8, 16);
    memory.bytes[8] = 5;
    memory[Symbol.dispose]();
    memory[Symbol.dispose]();
    expect([memory.bytes.length, part.length]).toEqual([0, 0]);
    expect(() => view.getUint8(0)).toThrow(TypeError);
    expect(rig.own(rig.io.mmap(fd, rig.io.pageSize)).bytes[8]).toBe(5);
  });

  test("a part shows its stretch of the mapping, and loses its bytes alone", () => {
    const page = rig.io.pageSize;
    const fd = rig.own(rig.io.memfd("m", 3 * page));
    const whole = rig.own(rig.io.mmap(fd, 2 * page, { offset: BigInt(page) }));
    const part = whole.part(page, page);
    const inner = part.part(8, 4);
    whole.bytes[page + 9] = 5;
    expect([part.bytes.length, part.bytes[9], inner.bytes.length, inner.bytes[1]]).toEqual([
      page,
      5,
      4,
      5,
    ]);
    expect(part).toMatchObject({ fd: whole.fd, fdOffset: BigInt(2 * page) });
    expect(part.address).toBe(whole.address + BigInt(page));
    part[Symbol.dispose]();
    part[Symbol.dispose]();
    expect([part.bytes.length, inner.bytes[1], whole.bytes[page + 9]]).toEqual([0, 5, 5]);
    for (const [offset, size] of [
      [-1, 1],
      [0, 0],
      [0, 2 * page + 1],
      [2 * page, 1],
      [Number.NaN, 1],
    ] as const) {
      expect(failure(() => whole.part(offset, size))).toBe("ERR_VFMIG_FILE_RANGE");
    }
    expect(failure(() => part.part(0, 1))).toBe("ERR_VFMIG_FILE_RANGE");
  });

  test("a mapping takes its parts with it", () => {
    const fd = rig.own(rig.io.memfd("m", rig.io.pageSize));
    const whole = rig.io.mmap(fd, rig.io.pageSize);
    const part = whole.part(16, 16);
    whole[Symbol.dispose]();
    expect([whole.bytes.length, part.bytes.length]).toEqual([0, 0]);
    part[Symbol.dispose]();
    expect(failure(() => whole.part(0, 1))).toBe("ERR_VFMIG_FILE_RANGE");
  });

  test("a read-only mapping shows what others write", () => {
    const fd = rig.own(rig.io.memfd("m", rig.io.pageSize));
    const readOnly = rig.own(rig.io.mmap(fd, rig.io.pageSize, { write: false }));
    rig.own(rig.io.mmap(fd, rig.io.pageSize)).bytes[1] = 7;
    expect(readOnly.bytes[1]).toBe(7);
  });

  test("a mapping past the end of its file is refused, since touching it would end the process", () => {
    const fd = rig.own(rig.io.memfd("m", rig.io.pageSize + 1));
    const page = BigInt(rig.io.pageSize);
    expect(failure(() => rig.own(rig.io.mmap(fd, 2 * rig.io.pageSize)))).toBeUndefined();
    for (const [size, offset] of [
      [2 * rig.io.pageSize + 1, 0n],
      [1, 2n * page],
      [2 * rig.io.pageSize, page],
      [1, 2n ** 62n],
    ] as const) {
      expect(failure(() => rig.io.mmap(fd, size, { offset }))).toBe("ERR_VFMIG_FILE_RANGE");
    }
  });

  test.each([
    [0, 0n],
    [-1, 0n],
    [Number.NaN, 0n],
    [1.5, 0n],
    [2 ** 53, 0n],
    [1, 1n],
    [1, -4096n],
  ])("a mapping of %d bytes at %d is refused", (size, offset) => {
    const fd = rig.own(rig.io.memfd("m", rig.io.pageSize));
    expect(failure(() => rig.io.mmap(fd, size, { offset }))).toBe("ERR_VFMIG_FILE_RANGE");
  });

  test("what is no memory cannot be mapped", () => {
    expect(failure(() => rig.io.mmap(rig.own(rig.io.eventfd()), rig.io.pageSize))).toBe("ENODEV");
  });

  test("a memfd of no possible size is refused", () => {
    expect(failure(() => rig.io.memfd("m", -1))).toBe("EINVAL");
    expect(failure(() => rig.io.memfd("m", Number.NaN))).toBe("EINVAL");
  });
});
