import { systemClock, type Clock } from "@vfmig/core";
import { checkBufferRange, checkFileRange, checkIoctl, checkIoctlPointers } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import { MEMORY_UNLIMITED, type NativeIo } from "../native-io.ts";
import { checkLimit } from "../native/resource-limits.ts";
import { systemCallError } from "../system-call-error.ts";
import { WatchTable, type OnWatchError } from "../watch-table.ts";
import { Descriptors } from "./descriptors.ts";
import { createFakeDatagrams } from "./fake-datagrams.ts";
import { FakeDevices, type FakeDevice } from "./fake-device.ts";
import { FakeEventfd } from "./fake-eventfd.ts";
import { FakeMapping, FakeMemfd } from "./fake-memfd.ts";
import { createFakeSockets } from "./fake-sockets.ts";
import { createFakeTaps, type FakeTapInterface } from "./fake-taps.ts";
import { FakeWatch } from "./fake-watch.ts";
import type { OpenFile } from "./open-file.ts";

export interface FakeIoOptions {
  /** Runs the callbacks of watches; default: a later turn of the event loop. */
  readonly clock?: Pick<Clock, "soon">;
  /** As for the real one. */
  readonly onWatchError?: OnWatchError;
  /** The first and hard limit of locked memory in bytes; default: none. */
  readonly memoryLock?: { readonly soft: bigint; readonly hard: bigint };
}

/** {@link NativeIo} in memory, with a count of what is open. */
export interface FakeIo extends NativeIo {
  /** Descriptors that are open now, mappings' included; 0 where nothing leaks. */
  readonly openFds: number;
  /** The host's end of an open TAP; undefined where no descriptor has that name. */
  tapInterface(name: string): FakeTapInterface | undefined;
  /** Puts a device at `path`; `open` gives what one opening of it is, or the errno of a refusal. */
  addDevice(path: string, open: () => FakeDevice | number): void;
  removeDevice(path: string): void;
  /** A descriptor for a device without path, as a driver makes them. */
  installDevice(device: FakeDevice): number;
  /** What `fd` is an opening of; undefined where it is no device that was added. */
  deviceBehind(fd: number): FakeDevice | undefined;
}

/**
 * System calls without a system: what Linux does, within one process and without native code.
 *
 * Some things differ. The waits only look, they never wait. Only devices that were added know an ioctl, and only
 * they and TAPs can be read and written. Calls in another thread are made in a later turn of the event loop. A socket's path is free again once its listener
 * is closed, and no file stands there. Views of a disposed mapping are detached when it was the last one of
 * its memfd; until then they stay readable, while `bytes` is empty at once.
 */
export function createFakeIo(options: FakeIoOptions = {}): FakeIo {
  const pageSize = 4096;
  const descriptors = new Descriptors();
  const names = new Map<string, OpenFile>();
  const table = new WatchTable(options.onWatchError);
  const clock = options.clock ?? systemClock;
  const parts = { descriptors, table, clock };
  const devices = new FakeDevices(descriptors);
  const taps = createFakeTaps(descriptors);
  const limit = options.memoryLock ?? { soft: MEMORY_UNLIMITED, hard: MEMORY_UNLIMITED };
  let { soft } = limit;
  let nextAddress = 0x7000_0000_0000n;
  const { EINVAL = 22, ENODEV = 19, EPERM = 1 } = ERRNO;

  function eventfd(call: string, fd: number): FakeEventfd {
    const file = descriptors.get(call, fd);
    if (file instanceof FakeEventfd) return file;
    throw systemCallError(call, EINVAL, { fd });
  }

  return {
    pageSize,
    get openFds() {
      return descriptors.count;
    },
    close(fd) {
      table.end(fd);
      descriptors.close(fd);
    },
    dup: (fd) => descriptors.open(descriptors.get("fcntl", fd)),
    status(fd) {
      const { kind, size, shrinkSealed } = descriptors.get("fstat", fd);
      return { kind, size, shrinkSealed };
    },
    identify(fd) {
      const { kind, size, shrinkSealed } = descriptors.get("fstat", fd);
      const inMemory = kind === "memfd";
      const id = descriptors.identify("fstat", fd);
      return { id, inMemory, regular: inMemory || kind === "file", size, shrinkSealed };
    },
    // Nothing here ever waits.
    blocks: (fd) => descriptors.get("fcntl", fd) === undefined,
    setNonBlocking: (fd) => void descriptors.get("fcntl", fd),
    memfd(name, size) {
      if (!Number.isSafeInteger(size) || size < 0) {
        throw systemCallError("memfd_create", EINVAL, { name, size });
      }
      return descriptors.open(new FakeMemfd(size, pageSize));
    },
    mmap(fd, size, mapping = {}) {
      const file = descriptors.get("mmap", fd);
      const offset = mapping.offset ?? 0n;
      const isMemfd = file instanceof FakeMemfd;
      checkFileRange({ fd, offset, size }, pageSize, isMemfd ? file.size : undefined);
      const device = devices.find("mmap", fd);
      const address = nextAddress;
      // A gap between them, as a real neighbour would be a fault.
      nextAddress += (BigInt(size) / BigInt(pageSize) + 2n) * BigInt(pageSize);
      if (device !== undefined) return devices.mmap(device, fd, size, address, mapping);
      if (!isMemfd) throw systemCallError("mmap", ENODEV, { fd, size, offset });
      return new FakeMapping(descriptors, file, { offset, size, address });
    },
    eventfd: () => descriptors.open(new FakeEventfd()),
    signalEventfd: (fd) => eventfd("write", fd).signal(),
    drainEventfd: (fd) => eventfd("read", fd).drain(),
    watch(fd, onReadable) {
      const file = descriptors.get("fcntl", fd);
      if (file instanceof FakeMemfd) throw systemCallError("epoll_ctl", EPERM, { fd });
      return new FakeWatch(parts, fd, file, onReadable);
    },
    waitReadable: (fd) => descriptors.get("ppoll", fd).readable(),
    waitWritable: (fd) => descriptors.get("ppoll", fd).writable(),
    yieldCpu() {},
    ...createFakeSockets(descriptors, names),
    ...createFakeDatagrams(descriptors, names),
    ...taps,
    read(fd, into, offset, length) {
      checkBufferRange("read", into, offset, length);
      const device = devices.find("read", fd);
      if (device === undefined) return taps.read(fd, into, offset, length);
      return devices.read(device, fd, into, offset, length);
    },
    write(fd, from, offset, length) {
      checkBufferRange("write", from, offset, length);
      const device = devices.find("write", fd);
      if (device === undefined) return taps.write(fd, from, offset, length);
      return devices.write(device, fd, from, offset, length);
    },
    ioctl(fd, request, argument = 0, pointers = []) {
      checkIoctl(fd, request, argument);
      if (typeof argument !== "number") checkIoctlPointers(argument, pointers);
      const device = devices.find("ioctl", fd);
      if (device === undefined) return taps.ioctl(fd, request, argument);
      return devices.ioctl(device, fd, request, argument, pointers);
    },
    ioctlLater(fd, request, argument, pointers) {
      return later(() => this.ioctl(fd, request, argument, pointers));
    },
    readLater(fd, into, offset, length) {
      return later(() => this.read(fd, into, offset, length));
    },
    writeLater(fd, from, offset, length) {
      return later(() => this.write(fd, from, offset, length));
    },
    open: (path) => devices.open(path),
    pread: (fd, into, offset, length, position) =>
      devices.pread(fd, into, offset, length, position),
    pwrite: (fd, from, offset, length, position) =>
      devices.pwrite(fd, from, offset, length, position),
    memoryLockLimit: () => soft,
    raiseMemoryLock(bytes, pid = 0) {
      checkLimit(bytes, pid);
      if (soft >= bytes) return;
      if (bytes > limit.hard) throw systemCallError("prlimit", EPERM, { pid, bytes });
      soft = bytes;
    },
    addDevice: (path, open) => devices.add(path, open),
    removeDevice: (path) => devices.remove(path),
    installDevice: (device) => devices.install(device),
    deviceBehind: (fd) => devices.find("fstat", fd),
  };

  /** Runs `call` in a later turn, as a thread beside this one would. */
  function later(call: () => number): Promise<number> {
    return new Promise((resolve, reject) => {
      clock.soon(() => {
        try {
          resolve(call());
        } catch (error) {
          // Only errors are thrown by calls.
          reject(error);
        }
      });
    });
  }
}
