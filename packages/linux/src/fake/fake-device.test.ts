import { expect, test } from "vitest";
import { failure } from "../testing/native-io-rig.ts";
import { createFakeIo } from "./fake-io.ts";

test("A device that was added answers every kind of call, and refuses with errnos", async () => {
  const io = createFakeIo();
  const memory = new Uint8Array(8192);
  let closed = 0;
  io.addDevice("/dev/x", () => ({
    ioctl(request, argument, pointers) {
      if (request !== 5 || typeof argument === "number") return -25;
      argument[0] = pointers[0]?.memory[0] ?? 0;
      return 7;
    },
    pread: (position, into) => {
      into.set(memory.subarray(position, position + into.length));
      return into.length;
    },
    pwrite: (position, from) => {
      memory.set(from, position);
      return from.length;
    },
    read: () => -11,
    mmap: (offset, size, write) =>
      write ? memory.subarray(Number(offset), Number(offset) + size) : -22,
    closed: () => (closed += 1),
  }));
  io.addDevice("/dev/busy", () => -16);
  expect(failure(() => io.open("/dev/busy"))).toBe("EBUSY");
  const fd = io.open("/dev/x");
  const argument = new Uint8Array(8);
  expect(io.ioctl(fd, 5, argument, [{ at: 0, memory: Uint8Array.of(9) }])).toBe(7);
  expect(argument[0]).toBe(9);
  expect(await io.ioctlLater(fd, 5, argument)).toBe(7);
  expect(failure(() => io.ioctl(fd, 6))).toBe("ENOTTY");
  io.pwrite(fd, Uint8Array.of(0, 1, 2), 1, 2, 4096);
  const into = new Uint8Array(3);
  expect(io.pread(fd, into, 0, 3, 4096)).toBe(3);
  expect([...into]).toEqual([1, 2, 0]);
  expect(io.read(fd, into, 0, 3)).toBe(-1);
  expect(failure(() => io.write(fd, into, 0, 3))).toBe("EINVAL");
  expect(failure(() => io.mmap(fd, 4096, { write: false }))).toBe("EINVAL");
  const mapping = io.mmap(fd, 4096, { offset: 4096n });
  const part = mapping.part(1, 1);
  expect(part.bytes[0]).toBe(2);
  io.close(fd);
  expect(closed).toBe(0);
  mapping[Symbol.dispose]();
  expect([part.bytes.length, mapping.bytes.length, closed, io.openFds]).toEqual([0, 0, 1, 0]);
});

test("The limit of locked memory can be raised up to the hard limit", () => {
  const io = createFakeIo({ memoryLock: { soft: 8n, hard: 16n } });
  io.raiseMemoryLock(16n);
  expect(io.memoryLockLimit()).toBe(16n);
  expect(failure(() => io.raiseMemoryLock(17n))).toBe("EPERM");
});
