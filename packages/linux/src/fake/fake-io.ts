import { systemClock, type Clock } from "@vfmig/core";
import { checkFileRange } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import { WatchTable, type OnWatchError } from "../watch-table.ts";
import { Descriptors } from "./descriptors.ts";
import { createFakeDatagrams } from "./fake-datagrams.ts";
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
}

/** {@link NativeIo} in memory, with a count of what is open. */
export interface FakeIo extends NativeIo {
  /** Descriptors that are open now, mappings' included; 0 where nothing leaks. */
  readonly openFds: number;
  /** The host's end of an open TAP; undefined where no descriptor has that name. */
  tapInterface(name: string): FakeTapInterface | undefined;
}

/**
 * System calls without a system: what Linux does, within one process and without native code.
 *
 * Some things differ. The waits only look, they never wait. No device knows an ioctl, and only TAPs can be
 * read and written. A socket's path is free again once its listener
 * is closed, and no file stands there. Views of a disposed mapping are detached when it was the last one of
 * its memfd; until then they stay readable, while `bytes` is empty at once.
 */
export function createFakeIo(options: FakeIoOptions = {}): FakeIo {
  const pageSize = 4096;
  const descriptors = new Descriptors();
  const names = new Map<string, OpenFile>();
  const table = new WatchTable(options.onWatchError);
  const parts = { descriptors, table, clock: options.clock ?? systemClock };
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
    identify: (fd) => ({
      id: descriptors.identify("fstat", fd),
      inMemory: descriptors.get("fstat", fd) instanceof FakeMemfd,
    }),
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
      if (!isMemfd) throw systemCallError("mmap", ENODEV, { fd, size, offset });
      const address = nextAddress;
      // A gap between them, as a real neighbour would be a fault.
      nextAddress += (BigInt(size) / BigInt(pageSize) + 2n) * BigInt(pageSize);
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
    ...createFakeTaps(descriptors),
  };
}
