import { checkFd, checkFileRange, checkPart } from "../checks.ts";
import type { MappedMemory, MmapOptions } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import { duplicate, fstat } from "./files.ts";
import type { Libc } from "./libc.ts";

/** Bytes of a mapping that can be taken from whoever holds them. */
class Window {
  readonly #buffer: ArrayBuffer;
  readonly bytes: Uint8Array;

  constructor(libc: Libc, address: bigint, size: number) {
    this.#buffer = libc.view(address, size);
    this.bytes = new Uint8Array(this.#buffer);
  }

  detach(): void {
    // Moves the memory to a buffer that nobody holds, without copying: views held elsewhere get length 0
    // instead of pointing at what is mapped there next.
    this.#buffer.transfer();
  }
}

/** A shared mapping: owner of the stretch of memory and of a duplicate of the descriptor. */
class LinuxMapping implements MappedMemory {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly #libc: Libc;
  readonly #size: number;
  readonly #parts = new Set<LinuxPart>();
  /** Made when it is asked for: whoever wants parts only has no need of the whole. */
  #window: Window | undefined;
  #mapped = true;

  constructor(libc: Libc, at: number, size: number, fd: number, fdOffset: bigint) {
    this.#libc = libc;
    this.#size = size;
    this.address = BigInt(at);
    this.fd = fd;
    this.fdOffset = fdOffset;
  }

  get bytes(): Uint8Array {
    if (this.#window === undefined) {
      if (!this.#mapped) return NOTHING;
      this.#window = new Window(this.#libc, this.address, this.#size);
    }
    return this.#window.bytes;
  }

  part(offset: number, size: number): MappedMemory {
    checkPart(this.#mapped ? this.#size : 0, offset, size);
    const part = new LinuxPart(this.#libc, this, offset, size, () => this.#parts.delete(part));
    this.#parts.add(part);
    return part;
  }

  [Symbol.dispose](): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    for (const part of this.#parts) part[Symbol.dispose]();
    this.#window?.detach();
    const failed = this.#libc.munmap(Number(this.address), this.#size) < 0;
    const errno = failed ? this.#libc.errno() : 0;
    this.#libc.close(this.fd);
    if (failed) throw systemCallError("munmap", errno, { address: this.address, size: this.#size });
  }
}

/** A stretch of a mapping with bytes of its own to take away; the mapping stays the owner. */
class LinuxPart implements MappedMemory {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly #libc: Libc;
  readonly #whole: LinuxMapping;
  readonly #offset: number;
  readonly #size: number;
  /** Made when it is asked for: the engine collects garbage the sooner, the larger its views are. */
  #window: Window | undefined;
  readonly #ended: () => void;
  #live = true;

  constructor(libc: Libc, whole: LinuxMapping, offset: number, size: number, ended: () => void) {
    this.address = whole.address + BigInt(offset);
    this.fd = whole.fd;
    this.fdOffset = whole.fdOffset + BigInt(offset);
    this.#whole = whole;
    this.#offset = offset;
    this.#size = size;
    this.#libc = libc;
    this.#ended = ended;
  }

  get bytes(): Uint8Array {
    if (this.#window === undefined) {
      if (!this.#live) return NOTHING;
      this.#window = new Window(this.#libc, this.address, this.#size);
    }
    return this.#window.bytes;
  }

  part(offset: number, size: number): MappedMemory {
    checkPart(this.#live ? this.#size : 0, offset, size);
    return this.#whole.part(this.#offset + offset, size);
  }

  [Symbol.dispose](): void {
    if (!this.#live) return;
    this.#live = false;
    this.#window?.detach();
    this.#ended();
  }
}

const NOTHING = new Uint8Array(0);

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
  const stats = fstat(fd);
  checkFileRange({ fd, offset, size }, pageSize, stats.isFile() ? stats.size : undefined);
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
