import { VfmigError } from "@vfmig/core";

/** Bytes of a page: the unit in which memory is handed out and writes are recorded. */
export const GUEST_PAGE = 4096;

export interface GuestRamOptions {
  /** The memory; its length and its offset in its buffer are multiples of 4,096. */
  readonly bytes: Uint8Array;
  /** IOVA of its first byte; a multiple of 4,096 below 2^52. Default 0. */
  readonly iova?: bigint;
}

/**
 * A guest's memory: a page allocator, and a record of the pages that the guest itself wrote, as a
 * VMM's dirty log has them. Every store of the driver goes through it or is told to it.
 */
export class GuestRam {
  /** IOVA of the first byte. */
  readonly base: number;
  readonly size: number;
  #bytes: Uint8Array;
  #data: DataView;
  #words: Int32Array;
  readonly #written: Uint8Array;
  #nextPage = 0;

  /** @throws VfmigError `ERR_VFMIG_GUEST_MEMORY` */
  constructor(options: GuestRamOptions) {
    this.base = Number(options.iova ?? 0n);
    this.size = options.bytes.length;
    if (this.base % GUEST_PAGE !== 0 || !(this.base >= 0 && this.base + this.size <= 2 ** 52)) {
      throw memoryError(`IOVA ${options.iova} is not page aligned below 2^52`);
    }
    checkBytes(options.bytes);
    this.#bytes = options.bytes;
    this.#data = viewOf(options.bytes);
    this.#words = wordsOf(options.bytes);
    this.#written = new Uint8Array(this.size / GUEST_PAGE);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The memory as a DataView; byte offsets are `iova - base`. Tell {@link touch} about each store. */
  get data(): DataView {
    return this.#data;
  }

  /**
   * From now on the memory is `bytes`, at the same IOVA; allocations and the written record stay.
   * @throws VfmigError `ERR_VFMIG_GUEST_MEMORY` for another size
   */
  useMemory(bytes: Uint8Array): void {
    if (bytes.length !== this.size) {
      throw memoryError(`the other memory has ${bytes.length} bytes, the guest ${this.size}`);
    }
    checkBytes(bytes);
    this.#bytes = bytes;
    this.#data = viewOf(bytes);
    this.#words = wordsOf(bytes);
  }

  /**
   * Hands out zeroed pages for `bytes` bytes, and gives their IOVA. They are never taken back: a
   * driver keeps its rings for the guest's life.
   * @throws VfmigError `ERR_VFMIG_GUEST_MEMORY` where there are not enough
   */
  allocate(bytes: number): number {
    const pages = Math.ceil(bytes / GUEST_PAGE);
    const offset = this.#nextPage * GUEST_PAGE;
    if (offset + pages * GUEST_PAGE > this.size) {
      throw memoryError(`${bytes} bytes more do not fit ${this.size}; give the guest more memory`);
    }
    this.#nextPage += pages;
    this.zero(this.base + offset, pages * GUEST_PAGE);
    return this.base + offset;
  }

  /** Bytes handed out so far, from the first one on. */
  get allocated(): number {
    return this.#nextPage * GUEST_PAGE;
  }

  zero(iova: number, length: number): void {
    this.#bytes.fill(0, iova - this.base, iova - this.base + length);
    this.touch(iova, length);
  }

  write(iova: number, from: Uint8Array): void {
    this.#bytes.set(from, iova - this.base);
    this.touch(iova, from.length);
  }

  /** A view of `length` bytes; it goes stale with {@link useMemory}. */
  view(iova: number, length: number): Uint8Array {
    const offset = iova - this.base;
    return this.#bytes.subarray(offset, offset + length);
  }

  /** Loads 32 bits; nothing after it is read before it, as `dma_rmb` has it. */
  load32(iova: number): number {
    return Atomics.load(this.#words, (iova - this.base) >>> 2) >>> 0;
  }

  /** Stores 32 bits after everything that was stored before, as `dma_wmb` has it. */
  store32(iova: number, value: number): void {
    Atomics.store(this.#words, (iova - this.base) >>> 2, value | 0);
    this.touch(iova, 4);
  }

  /** Notes that the guest wrote `[iova, iova + length)`. */
  touch(iova: number, length: number): void {
    const last = (iova - this.base + length - 1) >>> 12;
    for (let page = (iova - this.base) >>> 12; page <= last; page++) this.#written[page] = 1;
  }

  /** Numbers of the pages, from the memory's start, written since the last call; forgets them. */
  takeWrittenPages(): number[] {
    const pages: number[] = [];
    for (
      let page = this.#written.indexOf(1);
      page >= 0;
      page = this.#written.indexOf(1, page + 1)
    ) {
      pages.push(page);
    }
    this.#written.fill(0);
    return pages;
  }
}

function checkBytes(bytes: Uint8Array): void {
  if (bytes.length === 0 || bytes.length % GUEST_PAGE !== 0 || bytes.byteOffset % 4 !== 0) {
    throw memoryError(`${bytes.length} bytes are no whole pages`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function memoryError(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_GUEST_MEMORY", `guest memory: ${why}`, { layer: "testkit" });
}
