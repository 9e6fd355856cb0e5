import { fstatSync, type BigIntStats } from "node:fs";
import { checkFd } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { FileStatus, NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import type { Libc } from "./libc.ts";
import { createScratch } from "./scratch.ts";

const { EINTR } = ERRNO;
/** What an eventfd is called in `/proc/self/fd`; names of files begin with a slash. */
const EVENTFD = "anon_inode:[eventfd]";

/** Descriptors in general, and anonymous files. */
export function createFiles(
  libc: Libc,
): Pick<NativeIo, "close" | "dup" | "status" | "identify" | "blocks" | "setNonBlocking" | "memfd"> {
  const linkOf = createLinks(libc);
  return {
    // Not `fs.closeSync`: in a worker, Node warns about descriptors that it did not open.
    close(fd) {
      checkFd("close", fd);
      if (libc.close(fd) === 0) return;
      const errno = libc.errno();
      // Linux has closed it by then; another try could hit a descriptor of somebody else.
      if (errno !== EINTR) throw systemCallError("close", errno, { fd });
    },
    dup: (fd) => duplicate(libc, fd),
    status: (fd) => status(libc, fd, linkOf),
    identify(fd) {
      checkFd("fstat", fd);
      const stats = fstat(fd);
      // Only files in memory answer with seals (`fcntl(2)`).
      const seals = libc.fcntl(fd, abi.F_GET_SEALS, 0);
      return {
        id: `${stats.dev}:${stats.ino}`,
        inMemory: seals >= 0,
        regular: stats.isFile(),
        size: stats.size,
        shrinkSealed: seals >= 0 && (seals & abi.F_SEAL_SHRINK) !== 0,
      };
    },
    blocks: (fd) => (flagsOf(libc, fd) & abi.O_NONBLOCK) === 0,
    setNonBlocking(fd) {
      const flags = flagsOf(libc, fd);
      if ((flags & abi.O_NONBLOCK) !== 0) return;
      if (libc.fcntl(fd, abi.F_SETFL, flags | abi.O_NONBLOCK) < 0) {
        throw systemCallError("fcntl", libc.errno(), { fd });
      }
    },
    memfd: (name, size) => memfd(libc, name, size),
  };
}

function flagsOf(libc: Libc, fd: number): number {
  checkFd("fcntl", fd);
  const flags = libc.fcntl(fd, abi.F_GETFL, 0);
  if (flags < 0) throw systemCallError("fcntl", libc.errno(), { fd });
  return flags;
}

/** A close-on-exec duplicate. */
export function duplicate(libc: Libc, fd: number): number {
  checkFd("fcntl", fd);
  const copy = libc.fcntl(fd, abi.F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw systemCallError("fcntl", libc.errno(), { fd });
  return copy;
}

function memfd(libc: Libc, name: string, size: number): number {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw systemCallError("memfd_create", ERRNO["EINVAL"] ?? 22, { name, size });
  }
  const fd = libc.memfd_create(name, abi.MFD_CLOEXEC | abi.MFD_ALLOW_SEALING);
  if (fd < 0) throw systemCallError("memfd_create", libc.errno(), { name, size });
  let call = "ftruncate";
  let result = libc.ftruncate(fd, size);
  if (result === 0) {
    call = "fcntl";
    // A peer that maps it need not fear SIGBUS.
    result = libc.fcntl(fd, abi.F_ADD_SEALS, abi.F_SEAL_SHRINK | abi.F_SEAL_GROW);
  }
  if (result === 0) return fd;
  const errno = libc.errno();
  libc.close(fd);
  throw systemCallError(call, errno, { name, size });
}

/** What `fd` is, from `fstat`, its seals and its name in `/proc/self/fd`. */
function status(libc: Libc, fd: number, linkOf: (fd: number) => string): FileStatus {
  checkFd("fstat", fd);
  const link = linkOf(fd);
  // An eventfd has nothing more to say, and comes with each SET_IRQS.
  if (link === EVENTFD) return { kind: "eventfd", size: 0n, shrinkSealed: false };
  const stats = fstat(fd);
  // Only files in memory answer with seals (`fcntl(2)`).
  const seals = stats.isFile() ? libc.fcntl(fd, abi.F_GET_SEALS, 0) : -1;
  return {
    kind: kindOf(stats, link, seals >= 0),
    size: stats.size,
    shrinkSealed: seals >= 0 && (seals & abi.F_SEAL_SHRINK) !== 0,
  };
}

function kindOf(stats: BigIntStats, link: string, sealable: boolean): FileStatus["kind"] {
  if (link.startsWith("anon_inode:")) return "other";
  if (stats.isFile()) return sealable && link.startsWith("/memfd:") ? "memfd" : "file";
  if (stats.isSocket()) return "socket";
  if (stats.isFIFO()) return "pipe";
  return stats.isCharacterDevice() || stats.isBlockDevice() ? "device" : "other";
}

/** @throws VfmigError `ERR_VFMIG_SYSTEM_CALL` */
export function fstat(fd: number): BigIntStats {
  try {
    return fstatSync(fd, { bigint: true });
  } catch (error) {
    const negated = error instanceof Error && "errno" in error ? Number(error.errno) : 0;
    throw systemCallError("fstat", -negated, { fd });
  }
}

/** Reads where `/proc/self/fd/N` points; empty where that cannot be read. */
function createLinks(libc: Libc): (fd: number) => string {
  // Longer names are cut, which no comparison here minds.
  const scratch = createScratch(libc, 64);
  return (fd) => {
    const length = libc.readlink(`/proc/self/fd/${fd}`, scratch.address, scratch.bytes.length);
    // Without /proc the kind is known less closely, and nothing else is lost.
    if (length < 0) return "";
    if (length === EVENTFD.length && isEventfd(scratch.bytes)) return EVENTFD;
    return String.fromCharCode(...scratch.bytes.subarray(0, length));
  };
}

/** Compared in place: an eventfd comes with each SET_IRQS. */
function isEventfd(link: Uint8Array): boolean {
  for (let at = 0; at < EVENTFD.length; at++) {
    if (link[at] !== EVENTFD.charCodeAt(at)) return false;
  }
  return true;
}
