import type { IovaRange, VfioDevice } from "@vfmig/core";
import type { MappedMemory, NativeIo } from "@vfmig/linux";
import { describeRange, type DmaMapRequest } from "../codec/dma.ts";
import { refusal } from "../codec/errno.ts";

interface Entry extends IovaRange {
  readonly memory: MappedMemory | undefined;
}

/** Files are mapped into this process: 128 TiB of addresses is all that there is (x86-64). */
const LARGEST_MAPPING = 0x7fff_ffff_f000n;

/** The mappings that one client has made, and the memory behind them. */
export class DmaTable {
  readonly #io: NativeIo;
  readonly #device: VfioDevice;
  readonly #limit: number;
  /** Sorted by iova, without overlap. */
  readonly #entries: Entry[] = [];

  constructor(io: NativeIo, device: VfioDevice, limit: number) {
    this.#io = io;
    this.#device = device;
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * Maps `fd` once into this process and gives the mapping to the device. `fd` stays the caller's.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` (EEXIST overlap, ENOSPC too many, EINVAL file)
   */
  map(request: DmaMapRequest, fd: number | undefined): void | Promise<void> {
    const place = this.#place(request);
    const memory = fd === undefined ? undefined : this.#mapFile(request, fd);
    const entry: Entry = { iova: request.iova, size: request.size, memory };
    this.#entries.splice(place, 0, entry);
    const { iova, size, read, write } = request;
    // A device that maps at once is answered at once, so that a doorbell right behind finds the mapping.
    try {
      const done = this.#device.mapDma({ iova, size, read, write, memory });
      return done?.catch((error: unknown) => this.#refused(entry, error));
    } catch (error) {
      this.#refused(entry, error);
    }
  }

  /**
   * Settles when the device has ended every use of the range, which must be one mapping.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` (ENOENT)
   */
  unmap(range: IovaRange): void | Promise<void> {
    const entry = this.#entries[this.#search(range.iova)];
    if (entry === undefined || entry.iova !== range.iova || entry.size !== range.size) {
      throw refusal("ENOENT", `DMA_UNMAP: ${describeRange(range)} is not one mapping`, {
        ...range,
      });
    }
    return this.#remove(entry);
  }

  /** Unmaps everything; throws the first failure after all were tried. */
  async unmapAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const entry of this.#entries.toReversed()) {
      try {
        await this.#remove(entry);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Lets go of all memory where the device did not settle; its views are detached, not dangling. */
  forget(): void {
    for (const entry of this.#entries.splice(0)) entry.memory?.[Symbol.dispose]();
  }

  /** A device that refuses keeps its mapping, and so do we. */
  #remove(entry: Entry): void | Promise<void> {
    const done = this.#device.unmapDma({ iova: entry.iova, size: entry.size });
    if (done !== undefined) return done.then(() => this.#drop(entry));
    this.#drop(entry);
  }

  #drop(entry: Entry): void {
    const at = this.#entries.indexOf(entry);
    if (at < 0) return;
    this.#entries.splice(at, 1);
    entry.memory?.[Symbol.dispose]();
  }

  #refused(entry: Entry, error: unknown): never {
    this.#drop(entry);
    throw error;
  }

  /** Index of the first entry at or after `iova`. */
  #search(iova: bigint): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.iova ?? 0n) < iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #place(range: IovaRange): number {
    const place = this.#search(range.iova);
    const before = this.#entries[place - 1];
    const after = this.#entries[place];
    const hit =
      before !== undefined && before.iova + before.size > range.iova
        ? before
        : after !== undefined && after.iova < range.iova + range.size
          ? after
          : undefined;
    if (hit !== undefined) {
      throw refusal(
        "EEXIST",
        `DMA_MAP: ${describeRange(range)} overlaps the mapping ${describeRange(hit)}`,
        { ...range },
      );
    }
    if (this.#entries.length >= this.#limit) {
      throw refusal("ENOSPC", `DMA_MAP: ${this.#limit} mappings exist, and no more are allowed`, {
        limit: this.#limit,
      });
    }
    return place;
  }

  #mapFile(request: DmaMapRequest, fd: number): MappedMemory {
    const { kind, size } = this.#io.status(fd);
    const end = request.fdOffset + request.size;
    if (kind !== "file" && kind !== "memfd" && kind !== "device") {
      throw refusal("EINVAL", `DMA_MAP: memory cannot be a ${kind}`, { kind });
    }
    if (request.size > LARGEST_MAPPING || (kind !== "device" && end > size)) {
      throw refusal(
        "EINVAL",
        `DMA_MAP: bytes up to ${end} of a ${kind} that has ${size}; enlarge the file first`,
        { end, size },
      );
    }
    return this.#io.mmap(fd, Number(request.size), {
      offset: request.fdOffset,
      write: request.write,
    });
  }
}
