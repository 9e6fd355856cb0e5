import { checkFd, checkFileRange } from "../checks.ts";
import type { MappedMemory, MmapOptions } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { duplicate, status } from "./files.ts";
import type { Libc } from "./libc.ts";

/** A shared mapping: owner of the stretch of memory and of a duplicate of the descriptor. */
class LinuxMapping implements MappedMemory {
  readonly bytes: Uint8Array;
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly #libc: Libc;
  readonly #size: number;
  readonly #buffer: ArrayBuffer;
  #mapped = true;

  constructor(libc: Libc, at: number, size: number, fd: number, fdOffset: bigint) {
    this.#libc = libc;
    this.#size = size;
    this.address = BigInt(at);
    this.#buffer = libc.view(this.address, size);
    this.bytes = new Uint8Array(this.#buffer);
    this.fd = fd;
    this.fdOffset = fdOffset;
  }

  [Symbol.dispose](): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    // Moves the memory to a buffer that nobody holds, without copying: views held elsewhere get length 0
    // instead of pointing at what is mapped there next.
    this.#buffer.transfer();
    const failed = this.#libc.munmap(Number(this.address), this.#size) < 0;
    const errno = failed ? this.#libc.errno() : 0;
    this.#libc.close(this.fd);
    if (failed) throw systemCallError("munmap", errno, { address: this.address, size: this.#size });
  }
}

/** Maps `size` bytes of `fd` from `offset`, shared with every other mapping of that file. */
export function map(
  libc: Libc,
  pageSize: number,
  fd: number,
  size: number,
  options: MmapOptions = {},
): MappedMemory {
  checkFd("mmap", fd);
  const offset = options.offset ?? 0n;
  const { kind, size: fileSize } = status(libc, fd);
  const isFile = kind === "file" || kind === "memfd";
  checkFileRange({ fd, offset, size }, pageSize, isFile ? fileSize : undefined);
  const own = duplicate(libc, fd);
  const prot = options.write === false ? abi.PROT_READ : abi.PROT_READ | abi.PROT_WRITE;
  const at = libc.mmap(0, size, prot, abi.MAP_SHARED, own, offset);
  if (at === -1) {
    const errno = libc.errno();
    libc.close(own);
    throw systemCallError("mmap", errno, { fd, size, offset });
  }
  return new LinuxMapping(libc, at, size, own, offset);
}
