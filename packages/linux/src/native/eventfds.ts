import { checkFd } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import type { Libc } from "./libc.ts";
import { createScratch } from "./scratch.ts";

const { EAGAIN, EINTR, EINVAL = 22 } = ERRNO;

export function createEventfds(
  libc: Libc,
): Pick<NativeIo, "eventfd" | "signalEventfd" | "drainEventfd"> {
  const one = createScratch(libc, 8);
  one.words[0] = 1;
  const counter = createScratch(libc, 8);
  return {
    eventfd() {
      const fd = libc.eventfd(0, abi.EFD_CLOEXEC | abi.EFD_NONBLOCK);
      if (fd < 0) throw systemCallError("eventfd", libc.errno(), {});
      return fd;
    },
    signalEventfd(fd) {
      checkFd("write", fd);
      while (libc.write(fd, one.address, 8) < 0) {
        const errno = libc.errno();
        if (errno === EAGAIN) return;
        if (errno !== EINTR) throw systemCallError("write", errno, { fd });
      }
    },
    drainEventfd(fd) {
      checkFd("read", fd);
      for (;;) {
        const count = libc.read(fd, counter.address, 8);
        if (count === 8) break;
        // Whatever gives fewer bytes is no eventfd.
        const errno = count < 0 ? libc.errno() : EINVAL;
        if (errno === EAGAIN) return 0;
        if (errno !== EINTR) throw systemCallError("read", errno, { fd });
      }
      return (counter.words[0] ?? 0) + (counter.words[1] ?? 0) * 0x1_0000_0000;
    },
  };
}
