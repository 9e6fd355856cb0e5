import { VfmigError } from "@vfmig/core";
import { ERRNO } from "./errno.ts";
import { systemCallError } from "./system-call-error.ts";

/** Longest path of a unix socket in bytes: `sun_path` is 108 and ends with a NUL (`unix(7)`). */
export const SOCKET_PATH_BYTES = 107;

/** Most descriptors that one message carries: `SCM_MAX_FD` (`net/scm.h`). */
export const MESSAGE_FDS = 253;

/** Refuses what can be no descriptor before a native conversion makes another number of it. */
export function checkFd(call: string, fd: number): void {
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) {
    throw systemCallError(call, ERRNO["EBADF"] ?? 9, { fd });
  }
}

/** The path's bytes, where they fit a socket address. */
export function socketPathBytes(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length === 0 || bytes.length > SOCKET_PATH_BYTES || bytes.includes(0)) {
    throw new VfmigError(
      "ERR_VFMIG_SOCKET_PATH",
      `"${path}" cannot be a socket's path: it has ${bytes.length} bytes, 1 to ${SOCKET_PATH_BYTES} without NUL are possible`,
      { layer: "linux", details: { path, bytes: bytes.length } },
    );
  }
  return bytes;
}

/** Refuses stretches outside of `buffer`, empty ones and detached buffers. Allocates nothing. */
export function checkBufferRange(
  call: string,
  buffer: Uint8Array,
  offset: number,
  length: number,
): void {
  // Written so that a NaN fails too.
  if (
    !(
      offset >= 0 &&
      length >= 1 &&
      offset + length <= buffer.byteLength &&
      Number.isInteger(offset) &&
      Number.isInteger(length)
    )
  ) {
    throw new VfmigError(
      "ERR_VFMIG_BUFFER_RANGE",
      `${call}: ${length} bytes at ${offset} are not inside a buffer of ${buffer.byteLength} bytes`,
      { layer: "linux", details: { call, offset, length, bufferLength: buffer.byteLength } },
    );
  }
}

/** Refuses more descriptors than a message carries. */
export function checkFdCount(fd: number, count: number): void {
  if (count > MESSAGE_FDS) {
    throw new VfmigError(
      "ERR_VFMIG_FD_PASSING",
      `one message on socket ${fd} cannot carry ${count} descriptors, ${MESSAGE_FDS} are the most`,
      { layer: "linux", details: { fd, count } },
    );
  }
}

/** Refuses a part that is empty or not inside a mapping of `whole` bytes. */
export function checkPart(whole: number, offset: number, size: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(size) && offset >= 0;
  if (valid && size >= 1 && offset + size <= whole) return;
  throw new VfmigError(
    "ERR_VFMIG_FILE_RANGE",
    `${size} bytes at offset ${offset} are no part of a mapping of ${whole} bytes`,
    { layer: "linux", details: { offset, size, whole } },
  );
}

/** What `mmap` and the fake check alike. Sizes in bytes; `fileSize` undefined for a device. */
export function checkFileRange(
  range: { readonly fd: number; readonly offset: bigint; readonly size: number },
  pageSize: number,
  fileSize: bigint | undefined,
): void {
  const { fd, offset, size } = range;
  const page = BigInt(pageSize);
  const fail = (why: string): never => {
    throw new VfmigError(
      "ERR_VFMIG_FILE_RANGE",
      `mapping ${size} bytes at offset ${offset} of fd ${fd}: ${why}`,
      { layer: "linux", details: { fd, offset, size, fileSize } },
    );
  };
  if (!Number.isSafeInteger(size) || size < 1) fail("the size must be a positive whole number");
  if (offset < 0n || offset % page !== 0n) fail(`the offset must be a multiple of ${pageSize}`);
  if (fileSize === undefined) return;
  // The rest of the last page can be touched; what lies behind it raises SIGBUS.
  const end = ((fileSize + page - 1n) / page) * page;
  if (offset + BigInt(size) > end) fail(`the file has only ${fileSize} bytes`);
}

/**
 * Refuses requests that are no 32 bits, and memory shorter than the request says: bits 16 to 29 are its
 * size, where bits 30 and 31 tell that any is used (`asm-generic/ioctl.h`).
 */
export function checkIoctl(fd: number, request: number, argument: Uint8Array | number): void {
  checkFd("ioctl", fd);
  const isNumber = typeof argument === "number";
  const valid = Number.isInteger(request) && request >= 0 && request <= 0xffff_ffff;
  if (!valid || (isNumber && !(Number.isSafeInteger(argument) && argument >= 0))) {
    throw systemCallError("ioctl", ERRNO["EINVAL"] ?? 22, { fd, request });
  }
  if (isNumber) return;
  const size = request >>> 30 === 0 ? 0 : (request >>> 16) & 0x3fff;
  checkBufferRange("ioctl", argument, 0, Math.max(1, size));
}

/** Refuses a place for a pointer that is not inside the request's memory, and memory that has no bytes. */
export function checkIoctlPointers(
  argument: Uint8Array,
  pointers: readonly { readonly at: number; readonly memory: Uint8Array }[],
): void {
  for (const { at, memory } of pointers) {
    checkBufferRange("ioctl", argument, at, 8);
    checkBufferRange("ioctl", memory, 0, 1);
  }
}

/** Refuses positions in a file that a native conversion would change. */
export function checkPosition(call: string, fd: number, position: number): void {
  if (Number.isSafeInteger(position) && position >= 0) return;
  throw systemCallError(call, ERRNO["EINVAL"] ?? 22, { fd, position });
}

/** Longest name of an interface in bytes: `IFNAMSIZ` less the NUL; the kernel would cut a longer one. */
const INTERFACE_NAME_BYTES = 15;

/** The bytes of an interface's name, where it can be one. */
export function interfaceNameBytes(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > INTERFACE_NAME_BYTES || bytes.includes(0)) {
    throw systemCallError("ioctl", ERRNO["EINVAL"] ?? 22, { request: "TUNSETIFF", name });
  }
  return bytes;
}
