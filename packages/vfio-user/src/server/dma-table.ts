import type { IovaRange, SharedMemory, VfioDevice } from "@vfmig/core";
import type { MappedMemory } from "@vfmig/linux";
import { describeRange, type DmaMapRequest } from "../codec/dma.ts";
import { refusal } from "../codec/errno.ts";
import { ClientMemory, type ClientMemoryOptions } from "./client-memory.ts";
import type { MemoryFiles } from "./memory-files.ts";

interface Entry extends IovaRange {
  readonly memory: MappedMemory | undefined;
  readonly remote: ClientMemory | undefined;
}

/** Told of an address that the device uses; true where it need not be told again. */
export type OnUse = (memory: MappedMemory, offset: number, iova: number) => boolean;

export interface DmaTableOptions {
  readonly device: VfioDevice;
  readonly files: MemoryFiles;
  /** Most mappings at one time. */
  readonly limit: () => number;
  /** How memory without fd is reached. */
  readonly remote: ClientMemoryOptions;
  readonly onUse: OnUse;
}

/** The mappings that one client has made, and the memory behind them. */
export class DmaTable {
  readonly #options: DmaTableOptions;
  /** Sorted by iova, without overlap. */
  readonly #entries: Entry[] = [];

  constructor(options: DmaTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * Gives a mapping to the device: the memory of the file, or, without fd, what messages reach. `fd` stays
   * the caller's.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` (EEXIST overlap, ENOSPC too many, EINVAL file)
   */
  map(request: DmaMapRequest, fd: number | undefined): void | Promise<void> {
    const { iova, size, read, write, fdOffset } = request;
    const place = this.#place(request);
    const { files, device } = this.#options;
    const memory = fd === undefined ? undefined : files.open(fd, fdOffset, size, write);
    const remote =
      memory === undefined ? new ClientMemory(this.#options.remote, request, request) : undefined;
    const entry: Entry = { iova, size, memory, remote };
    this.#entries.splice(place, 0, entry);
    const shared = memory && this.#watched(memory, Number(iova));
    // A device that maps at once is answered at once, so that a doorbell right behind finds the mapping.
    try {
      const done = device.mapDma({ iova, size, read, write, memory: shared, remote });
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
        const done = this.#remove(entry);
        if (done !== undefined) await done;
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Lets go of all memory where the device did not settle; its views are detached, not dangling. */
  forget(): void {
    for (const entry of this.#entries.splice(0)) letGo(entry);
  }

  /** Memory that tells of its use. */
  #watched(memory: MappedMemory, iova: number): SharedMemory {
    const { onUse } = this.#options;
    return {
      get bytes() {
        return memory.bytes;
      },
      fd: memory.fd,
      fdOffset: memory.fdOffset,
      address: memory.address,
      onUse: (at) => onUse(memory, at - iova, at),
    };
  }

  /** A device that refuses keeps its mapping, and so do we. */
  #remove(entry: Entry): void | Promise<void> {
    const done = this.#options.device.unmapDma({ iova: entry.iova, size: entry.size });
    if (done !== undefined) return done.then(() => this.#drop(entry));
    this.#drop(entry);
  }

  #drop(entry: Entry): void {
    const at = this.#search(entry.iova);
    if (this.#entries[at] !== entry) return;
    this.#entries.splice(at, 1);
    letGo(entry);
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
    const limit = this.#options.limit();
    if (this.#entries.length >= limit) {
      throw refusal("ENOSPC", `DMA_MAP: ${limit} mappings exist, and no more are allowed`, {
        limit,
      });
    }
    return place;
  }
}

function letGo({ memory, remote }: Entry): void {
  memory?.[Symbol.dispose]();
  remote?.unmap();
}
