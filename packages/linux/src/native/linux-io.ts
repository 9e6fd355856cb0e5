import type { NativeIo } from "../native-io.ts";
import type { OnWatchError } from "../watch-table.ts";
import { createCharacterDevices } from "./character-devices.ts";
import { createDatagrams } from "./datagrams.ts";
import { createDeviceFiles } from "./device-files.ts";
import { createEventfds } from "./eventfds.ts";
import { createFiles } from "./files.ts";
import { loadLibc } from "./libc.ts";
import { map } from "./mapping.ts";
import { createMessages } from "./messages.ts";
import { createResourceLimits } from "./resource-limits.ts";
import { createSockets } from "./sockets.ts";
import { createWaits } from "./waits.ts";
import { createWatches } from "./watches.ts";

export interface LinuxIoOptions {
  /**
   * Called with what a watch's callback threw, after that watch has been disposed. Default: the error is
   * thrown from the event loop, so that it reaches `uncaughtException` and is never lost.
   */
  readonly onWatchError?: OnWatchError;
}

/**
 * The system calls of this machine. Loads native code now, and not when this package is imported.
 *
 * One per thread; its buffers and watches are its own.
 *
 * @throws VfmigError `ERR_VFMIG_NATIVE_UNAVAILABLE` where the system is not Linux on x64 or arm64
 * @example
 * ```ts
 * const io = createLinuxIo();
 * const fd = io.memfd("guest", 2 * io.pageSize);
 * using memory = io.mmap(fd, 2 * io.pageSize);
 * memory.bytes[0] = 1;
 * io.close(fd);
 * ```
 */
export function createLinuxIo(options: LinuxIoOptions = {}): NativeIo {
  const libc = loadLibc();
  const pageSize = libc.getpagesize();
  const files = createFiles(libc);
  const watches = createWatches(libc, options.onWatchError);
  return {
    pageSize,
    ...files,
    close(fd) {
      watches.end(fd);
      files.close(fd);
    },
    mmap: (fd, size, mapping) => map(libc, pageSize, fd, size, mapping),
    ...createEventfds(libc),
    watch: (fd, onReadable) => watches.watch(fd, onReadable),
    ...createWaits(libc),
    ...createSockets(libc),
    ...createMessages(libc),
    ...createDatagrams(libc),
    ...createCharacterDevices(libc),
    ...createDeviceFiles(libc),
    ...createResourceLimits(libc),
  };
}
