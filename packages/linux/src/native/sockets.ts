import { checkFd } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo, PeerCredentials } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import type { Libc } from "./libc.ts";
import { createScratch } from "./scratch.ts";
import { putSocketAddress } from "./socket-address.ts";

const { EAGAIN, EINTR, ECONNABORTED } = ERRNO;
const STREAM = abi.SOCK_STREAM | abi.SOCK_CLOEXEC | abi.SOCK_NONBLOCK;

/** Connections that may wait for an accept. */
const BACKLOG = 64;
/** The kernel doubles what is asked for, in 32 bits. */
const LARGEST_SEND_BUFFER = 0x2000_0000;

type SocketCalls = Pick<
  NativeIo,
  "socketPair" | "listen" | "accept" | "connect" | "shutdown" | "peerCredentials" | "growSendBuffer"
>;

/** Unix stream sockets, close-on-exec and non-blocking. */
export function createSockets(libc: Libc): SocketCalls {
  const scratch = createScratch(libc, 128);
  const view = new DataView(scratch.bytes.buffer);

  function open(path: string): number {
    const fd = libc.socket(abi.AF_UNIX, STREAM, 0);
    if (fd < 0) throw systemCallError("socket", libc.errno(), { path });
    return fd;
  }

  /** Closes `fd` where `result` says that `call` failed, without losing its errno. */
  function orClose(fd: number, call: string, path: string, result: number): void {
    if (result >= 0) return;
    const errno = libc.errno();
    libc.close(fd);
    throw systemCallError(call, errno, { path });
  }

  return {
    socketPair() {
      if (libc.socketpair(abi.AF_UNIX, STREAM, 0, scratch.address) < 0) {
        throw systemCallError("socketpair", libc.errno(), {});
      }
      return [view.getInt32(0, true), view.getInt32(4, true)];
    },
    listen(path) {
      const length = putSocketAddress(scratch, path);
      const fd = open(path);
      orClose(fd, "bind", path, libc.bind(fd, scratch.address, length));
      orClose(fd, "listen", path, libc.listen(fd, BACKLOG));
      return fd;
    },
    accept(fd) {
      checkFd("accept4", fd);
      for (;;) {
        const peer = libc.accept4(fd, 0, 0, abi.SOCK_CLOEXEC | abi.SOCK_NONBLOCK);
        if (peer >= 0) return peer;
        const errno = libc.errno();
        if (errno === EAGAIN) return -1;
        if (errno !== EINTR && errno !== ECONNABORTED)
          throw systemCallError("accept4", errno, { fd });
      }
    },
    connect(path) {
      const length = putSocketAddress(scratch, path);
      const fd = open(path);
      orClose(fd, "connect", path, libc.connect(fd, scratch.address, length));
      return fd;
    },
    shutdown(fd) {
      checkFd("shutdown", fd);
      if (libc.shutdown(fd, abi.SHUT_RDWR) < 0)
        throw systemCallError("shutdown", libc.errno(), { fd });
    },
    growSendBuffer(fd, bytes) {
      checkFd("setsockopt", fd);
      const { words, address } = scratch;
      words[16] = Math.min(bytes, LARGEST_SEND_BUFFER);
      for (const option of [abi.SO_SNDBUFFORCE, abi.SO_SNDBUF]) {
        if (libc.setsockopt(fd, abi.SOL_SOCKET, option, address + 64, 4) === 0) return;
      }
      throw systemCallError("setsockopt", libc.errno(), { fd });
    },
    peerCredentials(fd): PeerCredentials {
      checkFd("getsockopt", fd);
      scratch.words[16] = abi.UCRED_SIZE;
      const at = scratch.address;
      if (libc.getsockopt(fd, abi.SOL_SOCKET, abi.SO_PEERCRED, at, at + 64) < 0) {
        throw systemCallError("getsockopt", libc.errno(), { fd });
      }
      return {
        pid: view.getInt32(0, true),
        uid: view.getUint32(4, true),
        gid: view.getUint32(8, true),
      };
    },
  };
}
