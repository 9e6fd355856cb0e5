import { checkBufferRange, checkFd, interfaceNameBytes } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo, TapInterface } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { createAddressBook } from "./address-book.ts";
import type { Libc } from "./libc.ts";

const { EAGAIN, EINTR } = ERRNO;
const TUN = "/dev/net/tun";

/** Reads and writes, which allocate nothing, and TAP interfaces. */
export function createCharacterDevices(libc: Libc): Pick<NativeIo, "read" | "write" | "openTap"> {
  const incomingAddress = createAddressBook(libc);
  const outgoingAddress = createAddressBook(libc);

  return {
    read(fd, into, offset, length) {
      checkFd("read", fd);
      checkBufferRange("read", into, offset, length);
      const base = incomingAddress(into.buffer) + into.byteOffset + offset;
      for (;;) {
        const count = libc.read(fd, base, length);
        if (count >= 0) return count;
        const errno = libc.errno();
        if (errno === EAGAIN) return -1;
        if (errno !== EINTR) throw systemCallError("read", errno, { fd });
      }
    },
    write(fd, from, offset, length) {
      checkFd("write", fd);
      checkBufferRange("write", from, offset, length);
      const base = outgoingAddress(from.buffer) + from.byteOffset + offset;
      for (;;) {
        const count = libc.write(fd, base, length);
        if (count >= 0) return count;
        const errno = libc.errno();
        if (errno === EAGAIN) return -1;
        if (errno !== EINTR) throw systemCallError("write", errno, { fd });
      }
    },
    openTap: (name) => openTap(libc, name),
  };
}

function openTap(libc: Libc, name: string): TapInterface {
  const bytes = new Uint8Array(abi.IFREQ.size);
  bytes.set(interfaceNameBytes(name), abi.IFREQ.name);
  new DataView(bytes.buffer).setUint16(abi.IFREQ.flags, abi.IFF_TAP | abi.IFF_NO_PI, true);
  const fd = libc.open(TUN, abi.O_RDWR | abi.O_NONBLOCK | abi.O_CLOEXEC);
  if (fd < 0) throw systemCallError("open", libc.errno(), { path: TUN });
  if (libc.ioctl(fd, abi.TUNSETIFF, libc.addressOf(bytes.buffer)) < 0) {
    const errno = libc.errno();
    libc.close(fd);
    throw systemCallError("ioctl", errno, { request: "TUNSETIFF", name });
  }
  // The kernel has put in what it chose for `%d`.
  const end = bytes.indexOf(0);
  return { fd, name: new TextDecoder().decode(bytes.subarray(0, end)) };
}
