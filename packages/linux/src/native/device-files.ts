import {
  checkBufferRange,
  checkFd,
  checkIoctl,
  checkIoctlPointers,
  checkPosition,
} from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { IoctlPointer, NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { createAddressBook } from "./address-book.ts";
import type { Later, Libc } from "./libc.ts";

const { EAGAIN, EINTR } = ERRNO;

type DeviceFiles = Pick<
  NativeIo,
  "open" | "pread" | "pwrite" | "ioctl" | "ioctlLater" | "readLater" | "writeLater"
>;

/** Devices: opening, requests, and accesses at a position, which allocate nothing. */
export function createDeviceFiles(libc: Libc): DeviceFiles {
  const incomingAddress = createAddressBook(libc);
  const outgoingAddress = createAddressBook(libc);
  /** What another thread works on, so that nothing that the kernel writes to is collected before. */
  const inUse = new Set<unknown>();
  const addressOf = (bytes: Uint8Array): number =>
    // `buffer` moves bytes that lie inside the engine's heap to where they stay.
    libc.addressOf(bytes.buffer) + bytes.byteOffset;

  return {
    open: (path, options) => open(libc, path, options?.write !== false),
    pread(fd, into, offset, length, position) {
      checkFd("pread", fd);
      checkBufferRange("pread", into, offset, length);
      checkPosition("pread", fd, position);
      const base = incomingAddress(into.buffer) + into.byteOffset + offset;
      for (;;) {
        const count = libc.pread(fd, base, length, position);
        if (count >= 0) return count;
        const errno = libc.errno();
        if (errno !== EINTR) throw systemCallError("pread", errno, { fd, position, length });
      }
    },
    pwrite(fd, from, offset, length, position) {
      checkFd("pwrite", fd);
      checkBufferRange("pwrite", from, offset, length);
      checkPosition("pwrite", fd, position);
      const base = outgoingAddress(from.buffer) + from.byteOffset + offset;
      for (;;) {
        const count = libc.pwrite(fd, base, length, position);
        if (count >= 0) return count;
        const errno = libc.errno();
        if (errno !== EINTR) throw systemCallError("pwrite", errno, { fd, position, length });
      }
    },
    ioctl(fd, request, argument = 0, pointers = []) {
      checkIoctl(fd, request, argument);
      const at = typeof argument === "number" ? argument : prepare(argument, pointers, addressOf);
      for (;;) {
        const result = libc.ioctl(fd, request, at);
        if (result >= 0) return result;
        const errno = libc.errno();
        if (errno !== EINTR) throw systemCallError("ioctl", errno, { fd, request: hex(request) });
      }
    },
    async ioctlLater(fd, request, argument, pointers = []) {
      checkIoctl(fd, request, argument);
      const at = prepare(argument, pointers, addressOf);
      const where = { fd, request: hex(request) };
      const held = { argument, pointers };
      inUse.add(held);
      try {
        return await later(libc, libc.ioctlLater, [fd, request, at], "ioctl", where);
      } finally {
        inUse.delete(held);
      }
    },
    async readLater(fd, into, offset, length) {
      checkFd("read", fd);
      checkBufferRange("read", into, offset, length);
      const base = addressOf(into) + offset;
      const held = { into };
      inUse.add(held);
      try {
        return await later(libc, libc.readLater, [fd, base, length], "read", { fd });
      } finally {
        inUse.delete(held);
      }
    },
    async writeLater(fd, from, offset, length) {
      checkFd("write", fd);
      checkBufferRange("write", from, offset, length);
      const base = addressOf(from) + offset;
      const held = { from };
      inUse.add(held);
      try {
        return await later(libc, libc.writeLater, [fd, base, length], "write", { fd });
      } finally {
        inUse.delete(held);
      }
    },
  };
}

function open(libc: Libc, path: string, write: boolean): number {
  for (;;) {
    const fd = libc.open(path, (write ? abi.O_RDWR : abi.O_RDONLY) | abi.O_CLOEXEC);
    if (fd >= 0) return fd;
    const errno = libc.errno();
    if (errno !== EINTR) throw systemCallError("open", errno, { path });
  }
}

/** Puts the addresses into the request's memory, and returns the address of that. */
function prepare(
  argument: Uint8Array,
  pointers: readonly IoctlPointer[],
  addressOf: (bytes: Uint8Array) => number,
): number {
  checkIoctlPointers(argument, pointers);
  const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
  for (const { at, memory } of pointers) view.setBigUint64(at, BigInt(addressOf(memory)), true);
  return addressOf(argument);
}

/** -1 where a read or write would have to wait. */
async function later(
  libc: Libc,
  call: Later<[number, number, number]>,
  parameters: readonly [number, number, number],
  name: string,
  where: Readonly<Record<string, unknown>>,
): Promise<number> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- repeated only where a signal ended the call
    const [result, errno] = await new Promise<readonly [number, number]>((resolve, reject) => {
      call(...parameters, (error, count) => {
        const failed = count < 0 ? libc.errno() : 0;
        if (error instanceof Error) reject(error);
        else resolve([count, failed]);
      });
    });
    if (result >= 0) return result;
    if (errno === EAGAIN && name !== "ioctl") return -1;
    if (errno !== EINTR) throw systemCallError(name, errno, where);
  }
}

function hex(request: number): string {
  return `0x${request.toString(16)}`;
}
