import { checkFd } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import type { Libc } from "./libc.ts";
import { createScratch, storeWide } from "./scratch.ts";

const { EINTR, EBADF = 9 } = ERRNO;
const TIMEOUT_AT = 8;

/** Waits in this thread, by `ppoll` since `poll` knows only milliseconds. */
export function createWaits(
  libc: Libc,
): Pick<NativeIo, "waitReadable" | "waitWritable" | "yieldCpu"> {
  const scratch = createScratch(libc, TIMEOUT_AT + 16);
  const { address, words } = scratch;
  const results = new Int16Array(scratch.bytes.buffer, 0, abi.POLLFD_SIZE / 2);

  function waitOnce(fd: number, events: number, timeoutUs: number): number {
    words[0] = fd;
    results[2] = events;
    results[3] = 0;
    const seconds = Math.floor(timeoutUs / 1e6);
    storeWide(words, TIMEOUT_AT / 4, seconds);
    storeWide(words, TIMEOUT_AT / 4 + 2, Math.floor((timeoutUs - seconds * 1e6) * 1000));
    return libc.ppoll(address, 1, address + TIMEOUT_AT, 0);
  }

  function wait(fd: number, events: number, timeoutUs: number): boolean {
    checkFd("ppoll", fd);
    // More than a year is as good as for ever, and fits the kernel's seconds.
    const limit = timeoutUs > 0 ? Math.min(timeoutUs, 4e13) : 0;
    let left = limit;
    const start = limit === 0 ? 0 : performance.now();
    for (;;) {
      const ready = waitOnce(fd, events, left);
      if (ready >= 0) {
        if (ready > 0 && ((results[3] ?? 0) & abi.POLLNVAL) !== 0) {
          throw systemCallError("ppoll", EBADF, { fd });
        }
        return ready > 0;
      }
      const errno = libc.errno();
      if (errno !== EINTR) throw systemCallError("ppoll", errno, { fd });
      left = Math.max(0, limit - (performance.now() - start) * 1000);
    }
  }

  return {
    waitReadable: (fd, timeoutUs) => wait(fd, abi.POLLIN, timeoutUs),
    waitWritable: (fd, timeoutUs) => wait(fd, abi.POLLOUT, timeoutUs),
    yieldCpu: () => void libc.sched_yield(),
  };
}
