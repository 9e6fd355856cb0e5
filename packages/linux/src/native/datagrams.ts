import { checkBufferRange, checkFd } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { createAddressBook } from "./address-book.ts";
import type { Libc } from "./libc.ts";
import { createScratch } from "./scratch.ts";
import { putSocketAddress } from "./socket-address.ts";

const { EAGAIN, EINTR, ECONNRESET, ECONNREFUSED, ENOENT, ENOTCONN } = ERRNO;
const DATAGRAM = abi.SOCK_DGRAM | abi.SOCK_CLOEXEC | abi.SOCK_NONBLOCK;

type DatagramCalls = Pick<
  NativeIo,
  "datagramSocket" | "connectDatagram" | "receiveDatagram" | "sendDatagram"
>;

/** Unix datagram sockets. Sending and receiving allocate nothing while the path stays the same. */
export function createDatagrams(libc: Libc): DatagramCalls {
  const scratch = createScratch(libc, 112);
  const incomingAddress = createAddressBook(libc);
  const outgoingAddress = createAddressBook(libc);
  /** Whose address is in `scratch`, and how long that is. */
  let addressed: string | undefined;
  let addressLength = 0;

  function address(path: string): number {
    if (path !== addressed) {
      addressed = undefined;
      addressLength = putSocketAddress(scratch, path);
      addressed = path;
    }
    return addressLength;
  }

  return {
    datagramSocket(path) {
      const length = path === undefined ? 0 : address(path);
      const fd = libc.socket(abi.AF_UNIX, DATAGRAM, 0);
      if (fd < 0) throw systemCallError("socket", libc.errno(), { path });
      if (path === undefined || libc.bind(fd, scratch.address, length) === 0) return fd;
      const errno = libc.errno();
      libc.close(fd);
      throw systemCallError("bind", errno, { path });
    },
    connectDatagram(fd, path) {
      checkFd("connect", fd);
      const length = address(path);
      if (libc.connect(fd, scratch.address, length) < 0) {
        throw systemCallError("connect", libc.errno(), { fd, path });
      }
    },
    receiveDatagram(fd, into, offset, length) {
      checkFd("recv", fd);
      checkBufferRange("receiveDatagram", into, offset, length);
      const base = incomingAddress(into.buffer) + into.byteOffset + offset;
      for (;;) {
        // Without room for control bytes, the kernel closes the descriptors that a datagram carries.
        const count = libc.recv(fd, base, length, abi.MSG_DONTWAIT | abi.MSG_TRUNC);
        if (count >= 0) return count;
        const errno = libc.errno();
        if (errno === EAGAIN) return -1;
        // ECONNRESET is told once, when a connected peer turned to another; the socket goes on.
        if (errno !== EINTR && errno !== ECONNRESET) throw systemCallError("recv", errno, { fd });
      }
    },
    sendDatagram(fd, from, offset, length, path) {
      checkFd("sendto", fd);
      checkBufferRange("sendDatagram", from, offset, length);
      const to = path === undefined ? 0 : address(path);
      const base = outgoingAddress(from.buffer) + from.byteOffset + offset;
      for (;;) {
        const flags = abi.MSG_DONTWAIT | abi.MSG_NOSIGNAL;
        const target = to === 0 ? 0 : scratch.address;
        if (libc.sendto(fd, base, length, flags, target, to) >= 0) return length;
        const errno = libc.errno();
        if (errno === EAGAIN) return -1;
        if (errno === ECONNREFUSED || errno === ENOENT || errno === ENOTCONN) return -2;
        if (errno !== EINTR && errno !== ECONNRESET) {
          throw systemCallError("sendto", errno, path === undefined ? { fd } : { fd, path });
        }
      }
    },
  };
}
