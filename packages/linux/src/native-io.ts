import type { SharedMemory } from "@vfmig/core";

/** A mapped stretch of a file. `dispose` detaches `bytes` before it unmaps, so that no view dangles. */
export interface MappedMemory extends SharedMemory, Disposable {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  /**
   * A stretch of the same mapping, in bytes from its start, whose `bytes` can be detached alone; `fd` is
   * the mapping's. Disposing the mapping disposes its parts.
   * @throws VfmigError `ERR_VFMIG_FILE_RANGE`
   */
  part(offset: number, size: number): MappedMemory;
}

/** A watch on a file descriptor in the event loop. */
export interface Watch extends Disposable {
  readonly fd: number;
}

/** A TAP interface: the host's end is a network interface, ours a descriptor. */
export interface TapInterface {
  readonly fd: number;
  /** The interface's name, with its number in place of `%d`. */
  readonly name: string;
}

export interface MmapOptions {
  /** Offset in the file, a multiple of the page size. */
  readonly offset?: bigint;
  /** Default true. */
  readonly write?: boolean;
}

/**
 * A pointer inside the memory of a request: the address of `memory` is written there, as 64 bits, before
 * the call. The memory stays where it is until the call has ended.
 */
export interface IoctlPointer {
  /** Bytes from the start of the request's memory. */
  readonly at: number;
  readonly memory: Uint8Array;
}

export interface FileStatus {
  readonly kind: "file" | "memfd" | "eventfd" | "socket" | "pipe" | "device" | "other";
  readonly size: bigint;
  /**
   * True where nobody can shrink the file (`F_SEAL_SHRINK`). A mapping of any other file raises SIGBUS
   * once its owner truncates it.
   */
  readonly shrinkSealed: boolean;
}

/** `RLIM_INFINITY`: no limit. */
export const MEMORY_UNLIMITED: bigint = 0xffff_ffff_ffff_ffffn;

/** Which file a descriptor stands for. */
export interface FileIdentity {
  /** Equal for two descriptors of one file, as long as one of them is open (device and inode). */
  readonly id: string;
  /** True for a file that lies in memory: a memfd, or one on tmpfs or hugetlbfs. */
  readonly inMemory: boolean;
  /** True for a regular file, which has a size and may be mapped; {@link NativeIo.status} tells what else. */
  readonly regular: boolean;
  /** In bytes. */
  readonly size: bigint;
  /** As in {@link FileStatus}. */
  readonly shrinkSealed: boolean;
}

/** Who is at the other end of a unix socket, as of its connect or listen (`SO_PEERCRED`). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The system calls that vfmig needs; the only door to native code. Two implementations: Linux, and an
 * in-memory fake for tests. A failing call throws `ERR_VFMIG_SYSTEM_CALL` with call and errno; "would
 * block" is -1, not an error.
 */
export interface NativeIo {
  readonly pageSize: number;
  close(fd: number): void;
  dup(fd: number): number;
  status(fd: number): FileStatus;
  identify(fd: number): FileIdentity;

  /** True where reads and writes of `fd` wait until they can be done. */
  blocks(fd: number): boolean;
  /** Makes reads and writes of `fd`, and of every duplicate of it, return instead of waiting. */
  setNonBlocking(fd: number): void;

  /** An anonymous file of `size` bytes, sealed against shrinking and growing. */
  memfd(name: string, size: number): number;
  /** Maps `size` bytes, shared. The mapping keeps its own duplicate of `fd`. */
  mmap(fd: number, size: number, options?: MmapOptions): MappedMemory;

  /** A non-blocking eventfd with counter 0. */
  eventfd(): number;
  /** Adds 1; does nothing where the counter is full. Never blocks. */
  signalEventfd(fd: number): void;
  /** The counter, which becomes 0; 0 where nothing was signalled. */
  drainEventfd(fd: number): number;

  /** Calls `onReadable` in the event loop while `fd` is readable, until the watch is disposed. */
  watch(fd: number, onReadable: () => void): Watch;
  /** Waits in this thread until `fd` is readable; false after `timeoutUs` microseconds. */
  waitReadable(fd: number, timeoutUs: number): boolean;
  /** As {@link NativeIo.waitReadable} for room to write. */
  waitWritable(fd: number, timeoutUs: number): boolean;
  /** Lets whoever waits for this CPU run first (`sched_yield`); returns at once where nobody does. */
  yieldCpu(): void;

  /** A pair of connected, non-blocking unix stream sockets. */
  socketPair(): [number, number];
  listen(path: string): number;
  /** The next connection, or -1. */
  accept(fd: number): number;
  connect(path: string): number;
  /** Ends both directions; a blocked peer wakes. */
  shutdown(fd: number): void;
  peerCredentials(fd: number): PeerCredentials;
  /**
   * Asks for room for `bytes` bytes of messages under way to the peer. A process without privileges is
   * given what the system allows (`net.core.wmem_max`).
   */
  growSendBuffer(fd: number, bytes: number): void;

  /**
   * Reads at most `length` bytes into `into` at `offset`; received fds are appended to `fds`
   * (close-on-exec). Returns bytes read, 0 at the end of the stream, -1 where nothing is there.
   */
  receive(fd: number, into: Uint8Array, offset: number, length: number, fds: number[]): number;
  /**
   * Writes bytes `[offset, offset + length)` of `from`, with `fds` on the first of them. Returns bytes
   * written, or -1 where there is no room. Never raises SIGPIPE.
   */
  send(
    fd: number,
    from: Uint8Array,
    offset: number,
    length: number,
    fds: readonly number[],
  ): number;

  /**
   * A non-blocking unix datagram socket; bound to `path` where one is given, so that others can send to
   * it. Its file stays when it is closed.
   */
  datagramSocket(path?: string): number;
  /** Names the peer of a datagram socket: sends without a path go there, and nobody else's arrive. */
  connectDatagram(fd: number, path: string): void;
  /**
   * Takes one datagram, at most `length` bytes of it, into `into` at `offset`. Returns how long it was,
   * which is more than `length` where its rest was cut off, or -1 where nothing is there. Descriptors
   * that it carried are closed.
   */
  receiveDatagram(fd: number, into: Uint8Array, offset: number, length: number): number;
  /**
   * Sends bytes `[offset, offset + length)` of `from` as one datagram to `path`, or to the connected peer
   * without one. Returns `length`; -1 where the peer's queue is full, -2 where nobody receives there.
   */
  sendDatagram(fd: number, from: Uint8Array, offset: number, length: number, path?: string): number;

  /**
   * Reads at most `length` bytes into `into` at `offset`; of a TAP, one frame, whose rest is lost where
   * it is longer. Returns bytes read, 0 at an end, -1 where nothing is there. Waits where `fd` is blocking.
   */
  read(fd: number, into: Uint8Array, offset: number, length: number): number;
  /** Writes bytes `[offset, offset + length)` of `from`; -1 where there is no room. To a TAP: one frame. */
  write(fd: number, from: Uint8Array, offset: number, length: number): number;
  /**
   * Asks a device. `argument` is a number, or memory that the device reads or writes, which must be as
   * long as the request takes it to be: only requests that tell their size can be checked.
   *
   * @param request 32 bits, as `_IO`, `_IOR`, `_IOW` and `_IOWR` make it
   * @param pointers only with memory as argument
   */
  ioctl(
    fd: number,
    request: number,
    argument?: Uint8Array | number,
    pointers?: readonly IoctlPointer[],
  ): number;
  /**
   * As {@link NativeIo.ioctl}, in another thread: for requests that take their time. The memory is the
   * system's until this settles, and `fd` must stay open until then.
   */
  ioctlLater(
    fd: number,
    request: number,
    argument: Uint8Array,
    pointers?: readonly IoctlPointer[],
  ): Promise<number>;
  /** As {@link NativeIo.read}, in another thread, so that a wait for data holds up nobody. */
  readLater(fd: number, into: Uint8Array, offset: number, length: number): Promise<number>;
  /** As {@link NativeIo.write}, in another thread. */
  writeLater(fd: number, from: Uint8Array, offset: number, length: number): Promise<number>;
  /** Opens a device or file that exists, close-on-exec; for reading and writing unless `write` is false. */
  open(path: string, options?: { readonly write?: boolean }): number;
  /**
   * Reads at most `length` bytes from byte `position` (below 2^53) of a device into `into` at `offset`.
   * Returns bytes read, 0 at the end. Allocates nothing.
   */
  pread(fd: number, into: Uint8Array, offset: number, length: number, position: number): number;
  /** Writes bytes `[offset, offset + length)` of `from` to byte `position`. Returns bytes written. */
  pwrite(fd: number, from: Uint8Array, offset: number, length: number, position: number): number;
  /** Bytes that this process may lock in memory (`RLIMIT_MEMLOCK`); {@link MEMORY_UNLIMITED} for no limit. */
  memoryLockLimit(): bigint;
  /**
   * Raises that limit, and the hard limit where it is lower, of process `pid` (absent: this one). Never
   * lowers one. Above the hard limit it needs CAP_SYS_RESOURCE.
   */
  raiseMemoryLock(bytes: bigint, pid?: number): void;
  /**
   * Opens the TAP interface `name` (1 to 15 bytes; `%d` stands for a free number), non-blocking, frames
   * without a header. Makes it where there is none, which needs CAP_NET_ADMIN; then it goes with its
   * descriptor. A write fails with EIO while the interface is down.
   */
  openTap(name: string): TapInterface;
}
