import type { SharedMemory } from "@vfmig/core";

/** A mapped stretch of a file. `dispose` detaches `bytes` before it unmaps, so that no view dangles. */
export interface MappedMemory extends SharedMemory, Disposable {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
}

/** A watch on a file descriptor in the event loop. */
export interface Watch extends Disposable {
  readonly fd: number;
}

export interface MmapOptions {
  /** Offset in the file, a multiple of the page size. */
  readonly offset?: bigint;
  /** Default true. */
  readonly write?: boolean;
}

export interface FileStatus {
  readonly kind: "file" | "memfd" | "eventfd" | "socket" | "pipe" | "device" | "other";
  readonly size: bigint;
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

  /** An anonymous file of `size` bytes. */
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

  /** A pair of connected, non-blocking unix stream sockets. */
  socketPair(): [number, number];
  listen(path: string): number;
  /** The next connection, or -1. */
  accept(fd: number): number;
  connect(path: string): number;
  /** Ends both directions; a blocked peer wakes. */
  shutdown(fd: number): void;

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
}
