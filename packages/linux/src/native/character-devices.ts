import { checkBufferRange, checkFd, checkIoctl, interfaceNameBytes } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo, TapInterface } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { createAddressBook } from "./address-book.ts";
import type { Libc } from "./libc.ts";

const { EAGAIN, EINTR } = ERRNO;
const TUN = "/dev/net/tun";

/** Reads, writes and requests of devices. Reads and writes allocate nothing. */
export function createCharacterDevices(
  libc: Libc,
): Pick<NativeIo, "read" | "write" | "ioctl" | "openTap"> {
  const incomingAddress = createAddressBook(libc);
  const outgoingAddress = createAddressBook(libc);

  function ioctl(fd: number, request: number, argument: Uint8Array | number = 0): number {
    checkIoctl(fd, request, argument);
    const at =
      typeof argument === "number"
        ? argument
        : libc.addressOf(argument.buffer) + argument.byteOffset;
    for (;;) {
      const result = libc.ioctl(fd, request, at);
      if (result >= 0) return result;
      const errno = libc.errno();
      if (errno !== EINTR) {
        throw systemCallError("ioctl", errno, { fd, request: `0x${request.toString(16)}` });
      }
    }
  }

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
    ioctl,
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
