import { VfmigError } from "@vfmig/core";
import { checkBufferRange, checkFd, checkFdCount, MESSAGE_FDS } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { createAddressBook } from "./address-book.ts";
import type { Libc } from "./libc.ts";
import { createScratch, storeWide, type Scratch } from "./scratch.ts";

const { EAGAIN, EINTR, ECONNRESET } = ERRNO;

/** Longest transfer of one call: `MAX_RW_COUNT` of the kernel, 2^31 less a page. */
const LONGEST = 0x7fff_f000;

/** `CMSG_SPACE` of the most descriptors that one message carries. */
const CONTROL_SPACE = cmsgSpace(MESSAGE_FDS);

const IOVEC_AT = 64;
const CONTROL_AT = 80;

/** A message header with its one vector and its control bytes, in one piece of memory. */
interface Message extends Scratch {
  readonly control: DataView;
}

function cmsgSpace(fds: number): number {
  return abi.CMSGHDR.data + Math.ceil((fds * 4) / 8) * 8;
}

function createMessage(libc: Libc): Message {
  const scratch = createScratch(libc, CONTROL_AT + CONTROL_SPACE);
  const { words, address } = scratch;
  storeWide(words, abi.MSGHDR.iov / 4, address + IOVEC_AT);
  words[abi.MSGHDR.iovlen / 4] = 1;
  storeWide(words, abi.MSGHDR.control / 4, address + CONTROL_AT);
  return { ...scratch, control: new DataView(scratch.bytes.buffer, CONTROL_AT) };
}

function aim(message: Message, base: number, length: number, control: number): void {
  const { words } = message;
  storeWide(words, (IOVEC_AT + abi.IOVEC.base) / 4, base);
  words[(IOVEC_AT + abi.IOVEC.length) / 4] = length > LONGEST ? LONGEST : length;
  words[abi.MSGHDR.controllen / 4] = control;
  words[abi.MSGHDR.flags / 4] = 0;
}

/** Appends the descriptors of a received message to `fds`. */
function takeFds(message: Message, fds: number[]): void {
  const { control, words } = message;
  const end = Math.min(words[abi.MSGHDR.controllen / 4] ?? 0, CONTROL_SPACE);
  let at = 0;
  while (at + abi.CMSGHDR.data <= end) {
    const length = control.getUint32(at + abi.CMSGHDR.length, true);
    if (length < abi.CMSGHDR.data || at + length > end) return;
    if (
      control.getInt32(at + abi.CMSGHDR.level, true) === abi.SOL_SOCKET &&
      control.getInt32(at + abi.CMSGHDR.type, true) === abi.SCM_RIGHTS
    ) {
      for (let fd = at + abi.CMSGHDR.data; fd + 4 <= at + length; fd += 4) {
        fds.push(control.getInt32(fd, true));
      }
    }
    at += Math.ceil(length / 8) * 8;
  }
}

/** Closes what a truncated message brought: some are missing, and nobody can say which. */
function lostFds(libc: Libc, message: Message, fd: number): VfmigError {
  const arrived: number[] = [];
  takeFds(message, arrived);
  for (const each of arrived) libc.close(each);
  return new VfmigError(
    "ERR_VFMIG_FD_PASSING",
    `descriptors sent to socket ${fd} were lost after ${arrived.length}: this process may have too many files open; the message cannot be used, close the connection`,
    { layer: "linux", details: { fd, arrived: arrived.length } },
  );
}

/** `receive` and `send` of {@link NativeIo}. Neither allocates, unless descriptors arrive. */
export function createMessages(libc: Libc): Pick<NativeIo, "receive" | "send"> {
  const incoming = createMessage(libc);
  const outgoing = createMessage(libc);
  const incomingAddress = createAddressBook(libc);
  const outgoingAddress = createAddressBook(libc);

  function receive(
    fd: number,
    into: Uint8Array,
    offset: number,
    length: number,
    fds: number[],
  ): number {
    checkFd("recvmsg", fd);
    checkBufferRange("receive", into, offset, length);
    const base = incomingAddress(into.buffer) + into.byteOffset + offset;
    for (;;) {
      aim(incoming, base, length, CONTROL_SPACE);
      const count = libc.recvmsg(fd, incoming.address, abi.MSG_DONTWAIT | abi.MSG_CMSG_CLOEXEC);
      if (count >= 0) {
        const { words } = incoming;
        if (((words[abi.MSGHDR.flags / 4] ?? 0) & abi.MSG_CTRUNC) !== 0) {
          throw lostFds(libc, incoming, fd);
        }
        if (words[abi.MSGHDR.controllen / 4] !== 0) takeFds(incoming, fds);
        return count;
      }
      const errno = libc.errno();
      if (errno === EAGAIN) return -1;
      // The peer closed with bytes of ours unread; what it had sent has been read before.
      if (errno === ECONNRESET) return 0;
      if (errno !== EINTR) throw systemCallError("recvmsg", errno, { fd });
    }
  }

  function send(
    fd: number,
    from: Uint8Array,
    offset: number,
    length: number,
    fds: readonly number[],
  ): number {
    checkFd("sendmsg", fd);
    checkBufferRange("send", from, offset, length);
    const control = fds.length === 0 ? 0 : putFds(outgoing, fd, fds);
    const base = outgoingAddress(from.buffer) + from.byteOffset + offset;
    const flags = abi.MSG_DONTWAIT | abi.MSG_NOSIGNAL;
    for (;;) {
      let count: number;
      if (control === 0) {
        // Without descriptors the kernel need not fetch a header and a vector.
        count = libc.send(fd, base, length > LONGEST ? LONGEST : length, flags);
      } else {
        aim(outgoing, base, length, control);
        count = libc.sendmsg(fd, outgoing.address, flags);
      }
      if (count >= 0) return count;
      const errno = libc.errno();
      if (errno === EAGAIN) return -1;
      if (errno !== EINTR) throw systemCallError("sendmsg", errno, { fd });
    }
  }

  return { receive, send };
}

/** Writes the control message that carries `fds`; returns its space in bytes. */
function putFds(message: Message, fd: number, fds: readonly number[]): number {
  checkFdCount(fd, fds.length);
  const { control } = message;
  control.setUint32(abi.CMSGHDR.length, abi.CMSGHDR.data + fds.length * 4, true);
  control.setUint32(abi.CMSGHDR.length + 4, 0, true);
  control.setInt32(abi.CMSGHDR.level, abi.SOL_SOCKET, true);
  control.setInt32(abi.CMSGHDR.type, abi.SCM_RIGHTS, true);
  for (let at = 0; at < fds.length; at++) {
    control.setInt32(abi.CMSGHDR.data + at * 4, fds[at] ?? -1, true);
  }
  return cmsgSpace(fds.length);
}
