import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isMainThread } from "node:worker_threads";
import { VfmigError } from "@vfmig/core";
import * as abi from "./abi.ts";

/** A poll in the event loop, as koffi gives it (`uv_poll_t`). */
export interface PollHandle {
  start(events: { readonly readable: boolean }, onPoll: OnPoll): void;
  close(): void;
}

/** koffi passes (status, events), although its own types declare (events) only. */
export type OnPoll = (status: number) => void;

/** A call on another thread; `done` runs in the event loop of this one. */
export type Later<Parameters extends readonly unknown[]> = (
  ...all: [...Parameters, done: (error: unknown, result: number) => void]
) => void;

/** The part of koffi that is used. */
export interface Koffi {
  load(path: null): {
    func(
      name: string,
      result: string,
      parameters: readonly string[],
    ): ((...parameters: never) => unknown) & { readonly async?: (...all: never) => void };
  };
  readonly address: (buffer: ArrayBufferLike) => bigint;
  readonly view: Libc["view"];
  readonly errno: Libc["errno"];
  readonly node: { readonly poll: Libc["poll"] };
}

/**
 * Every function of the C library that is called, and nothing else is. Pointers go in as numbers: user
 * addresses are below 2^47 on both machines (mappings above that are made only on request), and a number
 * costs 150 ns less per call than a Buffer or a BigInt does.
 */
export interface Libc {
  /** Polls `fd`, which must be open, pollable and not polled yet: koffi ends the process otherwise. */
  readonly poll: (fd: number, events: { readonly readable: boolean }, onPoll: OnPoll) => PollHandle;
  /** The memory at `address`, without a copy. */
  readonly view: (address: bigint, size: number) => ArrayBuffer;
  /** Errno of the last call; nothing may stand between that call and this one. */
  readonly errno: () => number;
  /** Address of a buffer's first byte. */
  readonly addressOf: (buffer: ArrayBufferLike) => number;

  /** `ioctl`, `read` and `write` on a thread of the pool; errno is that of the call inside `done`. */
  readonly ioctlLater: Later<[fd: number, request: number, argument: number]>;
  readonly readLater: Later<[fd: number, at: number, size: number]>;
  readonly writeLater: Later<[fd: number, at: number, size: number]>;

  dlopen(path: string, flags: number): number;
  open(path: string, flags: number): number;
  close(fd: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  ftruncate(fd: number, size: number): number;
  memfd_create(name: string, flags: number): number;
  mmap(at: number, size: number, prot: number, flags: number, fd: number, offset: bigint): number;
  munmap(at: number, size: number): number;
  getpagesize(): number;
  eventfd(value: number, flags: number): number;
  read(fd: number, at: number, size: number): number;
  write(fd: number, at: number, size: number): number;
  ppoll(fds: number, count: number, timeout: number, signals: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, command: number, fd: number, event: number): number;
  socket(domain: number, type: number, protocol: number): number;
  socketpair(domain: number, type: number, protocol: number, fds: number): number;
  bind(fd: number, address: number, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: number, length: number, flags: number): number;
  connect(fd: number, address: number, length: number): number;
  shutdown(fd: number, how: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  readlink(path: string, at: number, size: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  recvmsg(fd: number, message: number, flags: number): number;
  sendmsg(fd: number, message: number, flags: number): number;
  recv(fd: number, at: number, size: number, flags: number): number;
  send(fd: number, at: number, size: number, flags: number): number;
  sched_yield(): number;
  pread(fd: number, at: number, size: number, position: number): number;
  pwrite(fd: number, at: number, size: number, position: number): number;
  prlimit(pid: number, resource: number, wanted: number, old: number): number;
  sendto(
    fd: number,
    at: number,
    size: number,
    flags: number,
    address: number,
    length: number,
  ): number;
}

type Prototype = readonly [result: string, ...parameters: string[]];

/**
 * The prototypes; a wrong one crashes the process. `open`, `ioctl` and `fcntl` are variadic in C, but on both
 * machines a third argument travels as in a fixed list, and a fixed list is 50 ns cheaper. Results of calls that move bytes are
 * `int`: their length never exceeds 2^31 here.
 */
const PROTOTYPES = {
  dlopen: ["uintptr_t", "str", "int"],
  open: ["int", "str", "int"],
  close: ["int", "int"],
  ioctl: ["int", "int", "unsigned long", "uintptr_t"],
  fcntl: ["int", "int", "int", "long"],
  ftruncate: ["int", "int", "int64_t"],
  memfd_create: ["int", "str", "unsigned int"],
  mmap: ["int64_t", "uintptr_t", "size_t", "int", "int", "int", "int64_t"],
  munmap: ["int", "uintptr_t", "size_t"],
  getpagesize: ["int"],
  eventfd: ["int", "unsigned int", "int"],
  read: ["int", "int", "uintptr_t", "size_t"],
  write: ["int", "int", "uintptr_t", "size_t"],
  ppoll: ["int", "uintptr_t", "unsigned long", "uintptr_t", "uintptr_t"],
  epoll_create1: ["int", "int"],
  epoll_ctl: ["int", "int", "int", "int", "uintptr_t"],
  socket: ["int", "int", "int", "int"],
  socketpair: ["int", "int", "int", "int", "uintptr_t"],
  bind: ["int", "int", "uintptr_t", "unsigned int"],
  listen: ["int", "int", "int"],
  accept4: ["int", "int", "uintptr_t", "uintptr_t", "int"],
  connect: ["int", "int", "uintptr_t", "unsigned int"],
  shutdown: ["int", "int", "int"],
  getsockopt: ["int", "int", "int", "int", "uintptr_t", "uintptr_t"],
  readlink: ["int", "str", "uintptr_t", "size_t"],
  setsockopt: ["int", "int", "int", "int", "uintptr_t", "unsigned int"],
  recvmsg: ["int", "int", "uintptr_t", "int"],
  sendmsg: ["int", "int", "uintptr_t", "int"],
  recv: ["int", "int", "uintptr_t", "size_t", "int"],
  send: ["int", "int", "uintptr_t", "size_t", "int"],
  sched_yield: ["int"],
  pread: ["int", "int", "uintptr_t", "size_t", "int64_t"],
  pwrite: ["int", "int", "uintptr_t", "size_t", "int64_t"],
  prlimit: ["int", "int", "int", "uintptr_t", "uintptr_t"],
  sendto: ["int", "int", "uintptr_t", "size_t", "int", "uintptr_t", "unsigned int"],
} as const satisfies Record<string, Prototype>;

/** Where this process runs; a parameter so that tests can be elsewhere. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
}

/** Loads koffi. A parameter so that tests can fail it. */
export type LoadKoffi = () => Koffi;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- native module, typed by hand above
const requireKoffi: LoadKoffi = () => createRequire(import.meta.url)("koffi") as Koffi;

/** @throws VfmigError `ERR_VFMIG_NATIVE_UNAVAILABLE` */
export function loadLibc(machine: Machine = process, load: LoadKoffi = requireKoffi): Libc {
  const { platform, arch } = machine;
  if (platform !== "linux" || (arch !== "x64" && arch !== "arm64")) {
    throw unavailable(`this is ${platform} on ${arch}, system calls need linux on x64 or arm64`);
  }
  try {
    const libc = declare(load());
    if (!isMainThread) keepLoaded(libc);
    return libc;
  } catch (cause) {
    throw unavailable(
      "koffi did not load; install with optional dependencies, which carry its binary",
      cause,
    );
  }
}

function declare(koffi: Koffi): Libc {
  // The process itself links against the C library, whichever that is (glibc or musl).
  const library = koffi.load(null);
  const functions = Object.fromEntries(
    Object.entries(PROTOTYPES).map(([name, [result, ...parameters]]) => [
      name,
      library.func(name, result, parameters),
    ]),
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- PROTOTYPES is where these types come true
  return {
    ...functions,
    ioctlLater: functions["ioctl"]?.async,
    readLater: functions["read"]?.async,
    writeLater: functions["write"]?.async,
    poll: koffi.node.poll,
    view: koffi.view,
    errno: koffi.errno,
    addressOf: (buffer: ArrayBufferLike) => Number(koffi.address(buffer)),
  } as Libc;
}

/**
 * Keeps koffi's library in memory after its last thread. A worker that is terminated with a watch open
 * otherwise unloads the library before the event loop runs the library's close callback, and the process
 * dies of SIGSEGV.
 */
function keepLoaded(libc: Libc): void {
  for (const path of loadedLibraries()) {
    if (path.endsWith("/koffi.node")) {
      libc.dlopen(path, abi.RTLD_LAZY | abi.RTLD_NOLOAD | abi.RTLD_NODELETE);
    }
  }
}

/** Paths of the files that are mapped into this process; none where there is no /proc. */
function loadedLibraries(): ReadonlySet<string> {
  try {
    const maps = readFileSync("/proc/self/maps", "utf8");
    return new Set(maps.split("\n").map((line) => line.slice(Math.max(0, line.indexOf("/")))));
  } catch {
    return new Set();
  }
}

function unavailable(why: string, cause?: unknown): VfmigError {
  return new VfmigError("ERR_VFMIG_NATIVE_UNAVAILABLE", `no system calls here: ${why}`, {
    layer: "linux",
    cause,
  });
}
