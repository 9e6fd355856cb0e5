import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { IovaWindow } from "../device/info.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { MemorySpan } from "./guest-memory.ts";

/** Mappings are aligned to this many bytes, as `VFIO_IOMMU_MAP_DMA` on x86 and arm64 wants it. */
export const DMA_PAGE_SIZE = 4096;

/** As the kernel's `dma_entry_limit` of type1. */
export const DMA_MAPPINGS_MAX = 65_535;

/** One past the highest address: below it every address is an exact number. */
export const IOVA_LIMIT: bigint = 1n << 52n;

/** One mapping of a {@link DmaMap}, with its addresses as numbers for hot loops. */
export interface DmaEntry {
  readonly mapping: DmaMapping;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** The bytes, where the mapping came with memory. */
  readonly span: MemorySpan | undefined;
  /** False while a base still maps or unmaps it: the range is taken, but not to be used. */
  usable: boolean;
}

/** The DMA mappings of one device: sorted, without overlap, checked once for every device. */
export class DmaMap {
  readonly #windows: readonly IovaWindow[];
  readonly #entries: DmaEntry[] = [];

  constructor(windows: readonly IovaWindow[]) {
    this.#windows = windows;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The entries by address. Not to be kept across a change. */
  get entries(): readonly DmaEntry[] {
    return this.#entries;
  }

  /**
   * Takes a mapping; it is usable at once unless `usable` says otherwise.
   * @throws VfmigError `ERR_VFMIG_DMA_MAP`
   */
  add(mapping: DmaMapping, usable = true): DmaEntry {
    checkMapping(mapping, this.#windows);
    if (this.#entries.length >= DMA_MAPPINGS_MAX) {
      throw refuseMapping(mapping, `there are already ${DMA_MAPPINGS_MAX} mappings`, "ENOSPC");
    }
    const start = Number(mapping.iova);
    const end = start + Number(mapping.size);
    const clash = this.overlapping(start, end);
    if (clash !== undefined) {
      throw refuseMapping(mapping, `it overlaps ${describeRange(clash.mapping)}`, "EEXIST");
    }
    const entry: DmaEntry = { mapping, start, end, span: spanOf(mapping, start), usable };
    this.#entries.splice(this.firstEndingAfter(start), 0, entry);
    return entry;
  }

  /**
   * The mapping that is exactly `range`.
   * @throws VfmigError `ERR_VFMIG_DMA_UNMAP`
   */
  exact(range: IovaRange): DmaEntry {
    const valid = isAddress(range.iova) && isAddress(range.size);
    const entry = valid ? this.#entries[this.firstEndingAfter(Number(range.iova))] : undefined;
    if (entry?.mapping.iova === range.iova && entry.mapping.size === range.size) return entry;
    throw new VfmigError(
      "ERR_VFMIG_DMA_UNMAP",
      `Cannot unmap ${describeRange(range)}: ${
        entry === undefined
          ? "nothing is mapped there"
          : `the mapping is ${describeRange(entry.mapping)}`
      }. Unmap exactly what was mapped.`,
      { layer: "core", details: { range: describeRange(range), errno: "EINVAL" } },
    );
  }

  /** Forgets an entry; its memory is out of reach at once. Does nothing if it is gone already. */
  remove(entry: DmaEntry): void {
    entry.usable = false;
    const at = this.#entries.indexOf(entry, this.firstEndingAfter(entry.start));
    if (at >= 0) this.#entries.splice(at, 1);
  }

  /** Forgets everything and returns what there was, by address. */
  removeAll(): readonly DmaEntry[] {
    const entries = this.#entries.splice(0);
    for (const entry of entries) entry.usable = false;
    return entries;
  }

  /** The lowest entry that shares a byte with `[start, end)`. */
  overlapping(start: number, end: number): DmaEntry | undefined {
    const entry = this.#entries[this.firstEndingAfter(start)];
    return entry !== undefined && entry.start < end ? entry : undefined;
  }

  /** Position of the first entry that ends above `iova`; the number of entries if there is none. */
  firstEndingAfter(iova: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && entry.end <= iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * An empty table of DMA mappings.
 *
 * @param windows - IOVAs that the device can address; empty means all below 2^52
 */
export function createDmaMap(windows: readonly IovaWindow[] = []): DmaMap {
  return new DmaMap(windows);
}

/** A range for people: `0x1000+0x2000`. */
export function describeRange(range: IovaRange): string {
  return `${hex(range.iova)}+${hex(range.size)}`;
}

function hex(value: unknown): string {
  if (typeof value !== "bigint" && typeof value !== "number") return String(value);
  return `${value < 0 ? "-" : ""}0x${(value < 0 ? -value : value).toString(16)}`;
}

function isAddress(value: unknown): value is bigint {
  return typeof value === "bigint" && value >= 0n && value <= IOVA_LIMIT;
}

function checkMapping(mapping: DmaMapping, windows: readonly IovaWindow[]): void {
  const { iova, size, memory } = mapping;
  if (typeof iova !== "bigint" || typeof size !== "bigint") {
    throw refuseMapping(mapping, "address and size must be bigints");
  }
  if (size <= 0n) throw refuseMapping(mapping, "its size is not above 0");
  if (iova < 0n) throw refuseMapping(mapping, "its address is negative");
  const page = BigInt(DMA_PAGE_SIZE);
  if (iova % page !== 0n || size % page !== 0n) {
    throw refuseMapping(mapping, `address and size must be multiples of ${DMA_PAGE_SIZE}`);
  }
  if (iova + size > IOVA_LIMIT) throw refuseMapping(mapping, "it ends above 2^52");
  if (windows.length > 0 && !windows.some((w) => w.first <= iova && iova + size - 1n <= w.last)) {
    throw refuseMapping(mapping, "the device cannot address it (see its IOVA windows)");
  }
  if (!mapping.read && !mapping.write)
    throw refuseMapping(mapping, "it allows neither read nor write");
  if (memory !== undefined && BigInt(memory.bytes.length) !== size) {
    throw refuseMapping(mapping, `its memory has ${memory.bytes.length} bytes`);
  }
}

function spanOf(mapping: DmaMapping, base: number): MemorySpan | undefined {
  const bytes = mapping.memory?.bytes;
  if (bytes === undefined) return undefined;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { base, size: bytes.length, bytes, data };
}

/** The refusal of a mapping. */
export function refuseMapping(mapping: DmaMapping, why: string, errno = "EINVAL"): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_DMA_MAP",
    `Cannot map ${describeRange(mapping)} for DMA: ${why}. Nothing was mapped.`,
    { layer: "core", details: { mapping: describeRange(mapping), errno } },
  );
}
