import type { FileIdentity, MappedMemory, NativeIo } from "@vfmig/linux";
import { VfmigError } from "@vfmig/core";
import { refusal } from "../codec/errno.ts";

/** Which files may be guest memory. */
export type MemoryFilePolicy = "any" | "in-memory" | "sealed";

/** Files are mapped into this process: 128 TiB of addresses is all that there is (x86-64). */
const LARGEST_MAPPING = 0x7fff_ffff_f000n;
/** A file is mapped whole; one that is larger than this, in stretches of this size (1 TiB). */
const WINDOW = 0x100_0000_0000n;
/** Mappings of this process that one client may cause; the kernel's limit for all is 65,530. */
const MAX_EXTENTS = 4096;

/** One mapping of a file in this process, of which DMA mappings have parts. */
interface Extent {
  readonly start: bigint;
  readonly end: bigint;
  readonly mapping: MappedMemory;
  uses: number;
}

/**
 * The files of one client. Each is mapped once, as far as it is long, and shared by all DMA mappings that
 * lie in it: 65,535 of them cost one mapping and one descriptor. A file that has grown is mapped again for
 * the mappings that need more. Read-only mappings have one of their own, so that a write to them faults.
 */
export class MemoryFiles {
  readonly #io: NativeIo;
  readonly #policy: MemoryFilePolicy;
  readonly #files = new Map<string, Extent[]>();
  #extents = 0;

  constructor(io: NativeIo, policy: MemoryFilePolicy) {
    this.#io = io;
    this.#policy = policy;
  }

  /** Mappings that this process holds. */
  get extents(): number {
    return this.#extents;
  }

  /**
   * Bytes `[offset, offset + size)` of the file; `fd` stays the caller's. Dispose it to let go.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` for what is no memory or too short, or too many files;
   * `ERR_VFMIG_SYSTEM_CALL` where the kernel refuses
   */
  open(fd: number, offset: bigint, size: bigint, write: boolean): MappedMemory {
    const file = this.#io.identify(fd);
    const fileSize = this.#check(fd, file, offset + size, size);
    const key = `${file.id}/${write ? "rw" : "ro"}`;
    let extents = this.#files.get(key);
    if (extents === undefined) this.#files.set(key, (extents = []));
    const end = offset + size;
    const found = extents.find((each) => each.start <= offset && end <= each.end);
    try {
      const extent = found ?? this.#map(fd, { offset, end, fileSize, write }, extents);
      const part = extent.mapping.part(Number(offset - extent.start), Number(size));
      extent.uses += 1;
      return new FilePart(part, () => this.#release(key, extent));
    } finally {
      this.#forgetUnused(key, extents);
    }
  }

  /** The file's size in bytes, where it may be memory and has enough of it. */
  #check(fd: number, file: FileIdentity, end: bigint, size: bigint): bigint {
    const { size: fileSize, shrinkSealed } = file;
    // What a descriptor is called costs more than all else here, and a regular file needs no name.
    const kind = file.regular ? "file" : this.#io.status(fd).kind;
    if (kind !== "file" && kind !== "device") {
      throw refusal("EINVAL", `DMA_MAP: memory cannot be a ${kind}`, { kind });
    }
    if (this.#policy !== "any" && !file.inMemory) {
      throw refusal(
        "EINVAL",
        `DMA_MAP: the ${kind} is neither a memfd nor a file on tmpfs or hugetlbfs; use such memory, or serve with memoryFiles: "any"`,
        { kind },
      );
    }
    if (this.#policy === "sealed" && !shrinkSealed) {
      throw refusal(
        "EPERM",
        "DMA_MAP: the file is not sealed against shrinking (F_SEAL_SHRINK), which this server demands",
        { kind },
      );
    }
    if (size > LARGEST_MAPPING || (kind !== "device" && end > fileSize)) {
      throw refusal(
        "EINVAL",
        `DMA_MAP: bytes up to ${end} of a ${kind} that has ${fileSize}; enlarge the file first`,
        { end, size: fileSize },
      );
    }
    // A device has no size: of it exactly what is asked for is mapped.
    return kind === "device" ? 0n : fileSize;
  }

  #map(
    fd: number,
    range: {
      readonly offset: bigint;
      readonly end: bigint;
      readonly fileSize: bigint;
      readonly write: boolean;
    },
    extents: Extent[],
  ): Extent {
    if (this.#extents >= MAX_EXTENTS) {
      throw refusal("ENOSPC", `DMA_MAP: ${MAX_EXTENTS} files are mapped, and no more are allowed`, {
        limit: MAX_EXTENTS,
      });
    }
    const { offset, end, fileSize, write } = range;
    const page = BigInt(this.#io.pageSize);
    const whole = (fileSize / page) * page;
    const start = fileSize === 0n ? offset : (offset / WINDOW) * WINDOW;
    const upTo = ((end + WINDOW - 1n) / WINDOW) * WINDOW;
    const stop = fileSize === 0n ? end : upTo < whole ? upTo : whole;
    const extent =
      this.#tryMap(fd, start, stop < end ? end : stop, write) ?? this.#mapExactly(fd, range);
    extents.push(extent);
    this.#extents += 1;
    return extent;
  }

  /** Undefined where this process has no room for so much. */
  #tryMap(fd: number, start: bigint, end: bigint, write: boolean): Extent | undefined {
    try {
      return this.#mapExactly(fd, { offset: start, end, write });
    } catch (error) {
      if (VfmigError.is(error) && error.details["errno"] === "ENOMEM") return undefined;
      throw error;
    }
  }

  #mapExactly(
    fd: number,
    range: { readonly offset: bigint; readonly end: bigint; readonly write: boolean },
  ): Extent {
    const { offset, end, write } = range;
    const mapping = this.#io.mmap(fd, Number(end - offset), { offset, write });
    return { start: offset, end, mapping, uses: 0 };
  }

  #release(key: string, extent: Extent): void {
    extent.uses -= 1;
    const extents = this.#files.get(key);
    if (extents !== undefined) this.#forgetUnused(key, extents);
  }

  #forgetUnused(key: string, extents: Extent[]): void {
    for (let at = extents.length - 1; at >= 0; at -= 1) {
      const extent = extents[at];
      if (extent === undefined || extent.uses > 0) continue;
      extents.splice(at, 1);
      this.#extents -= 1;
      extent.mapping[Symbol.dispose]();
    }
    if (extents.length === 0) this.#files.delete(key);
  }
}

/** A part of an extent that lets go of it when it is disposed. */
class FilePart implements MappedMemory {
  readonly #part: MappedMemory;
  readonly #release: () => void;
  #live = true;

  constructor(part: MappedMemory, release: () => void) {
    this.#part = part;
    this.#release = release;
  }

  get bytes(): Uint8Array {
    return this.#part.bytes;
  }

  get address(): bigint {
    return this.#part.address;
  }

  get fd(): number {
    return this.#part.fd;
  }

  get fdOffset(): bigint {
    return this.#part.fdOffset;
  }

  part(offset: number, size: number): MappedMemory {
    return this.#part.part(offset, size);
  }

  [Symbol.dispose](): void {
    if (!this.#live) return;
    this.#live = false;
    this.#part[Symbol.dispose]();
    this.#release();
  }
}
