import { VfmigError } from "../errors/vfmig-error.ts";
import { DMA_PAGE_SIZE, IOVA_LIMIT, type DmaEntry, type DmaMap } from "./dma-map.ts";
import type { GuestMemory, MemorySpan } from "./guest-memory.ts";

const LIMIT = Number(IOVA_LIMIT);

type Access = "read" | "write";

/** Guest memory over the mappings of a {@link DmaMap}; mappings without memory are holes. */
class MappedGuestMemory implements GuestMemory {
  readonly #map: DmaMap;
  /** The entry that answered last: rings and buffers are touched in runs. */
  #last: DmaEntry | undefined;

  readonly #onUnreachable: ((iova: number) => void) | undefined;
  readonly #told = new WeakSet<DmaEntry>();

  constructor(map: DmaMap, onUnreachable: ((iova: number) => void) | undefined) {
    this.#map = map;
    this.#onUnreachable = onUnreachable;
  }

  span(iova: number, length: number, access: Access): MemorySpan {
    const span = this.find(iova, length, access);
    if (span === undefined) throw this.#refuse(iova, length, access);
    return span;
  }

  find(iova: number, length: number, access: Access): MemorySpan | undefined {
    if (!isRange(iova, length)) return undefined;
    const entry = this.#entryAt(iova, length, access);
    if (entry === undefined || iova + length > entry.end || !allows(entry, access)) {
      if (entry?.span === undefined) this.#tell(entry, iova);
      return undefined;
    }
    return entry.mapping.memory?.pagewise === true ? withinPage(entry, iova, length) : entry.span;
  }

  read(iova: number, into: Uint8Array): void {
    const span = this.find(iova, into.length, "read");
    if (span === undefined) return this.#copyAcross(iova, into, "read");
    const from = iova - span.base;
    into.set(span.bytes.subarray(from, from + into.length));
  }

  write(iova: number, from: Uint8Array): void {
    const span = this.find(iova, from.length, "write");
    if (span === undefined) return this.#copyAcross(iova, from, "write");
    span.bytes.set(from, iova - span.base);
  }

  /** Once for each mapping: whoever looks for memory there does so again and again. */
  #tell(entry: DmaEntry | undefined, iova: number): void {
    if (entry === undefined || this.#onUnreachable === undefined || this.#told.has(entry)) return;
    this.#told.add(entry);
    this.#onUnreachable(iova);
  }

  #entryAt(iova: number, length: number, access: Access): DmaEntry | undefined {
    const last = this.#last;
    if (last !== undefined && last.usable && iova >= last.start && iova < last.end) return last;
    const entry = this.#map.entries[this.#map.firstEndingAfter(iova)];
    if (entry === undefined || !entry.usable || iova < entry.start) return undefined;
    // An entry that is still watched is not remembered, so that its next use comes here again.
    const { memory } = entry.mapping;
    if (memory?.onUse?.(iova, Math.min(length, entry.end - iova), access) !== false) {
      this.#last = entry;
    }
    return entry;
  }

  /** Checks the whole way first, so that a hole in the middle leaves nothing half written. */
  #copyAcross(iova: number, bytes: Uint8Array, access: Access): void {
    if (!isRange(iova, bytes.length)) throw this.#refuse(iova, bytes.length, access);
    const end = iova + bytes.length;
    for (let at = iova; at < end;) {
      const entry = this.#entryAt(at, end - at, access);
      if (entry === undefined || !allows(entry, access)) {
        throw this.#refuse(iova, bytes.length, access);
      }
      at = entry.end;
    }
    for (let at = iova; at < end;) {
      const entry = this.#entryAt(at, end - at, access);
      const span = entry?.span;
      if (entry === undefined || span === undefined) throw this.#refuse(at, end - at, access);
      const stop = Math.min(end, entry.end);
      const guest = span.bytes.subarray(at - span.base, stop - span.base);
      const ours = bytes.subarray(at - iova, stop - iova);
      if (access === "read") ours.set(guest);
      else guest.set(ours);
      at = stop;
    }
  }

  #refuse(iova: number, length: number, access: Access): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_GUEST_ADDRESS",
      `The guest gave address ${show(iova)}, length ${String(length)}, for a ${access}, ` +
        `but ${this.#why(iova, length, access)}.`,
      { layer: "core", details: { iova, length, access, errno: "EFAULT" } },
    );
  }

  #why(iova: number, length: number, access: Access): string {
    if (!isRange(iova, length)) return "that is no range of addresses below 2^52";
    const entry = this.#map.entries[this.#map.firstEndingAfter(iova)];
    if (entry === undefined || iova < entry.start || !entry.usable) {
      return "nothing is mapped there";
    }
    if (entry.span === undefined) {
      return (
        "the memory there came without a file, so that the device cannot reach it; " +
        "give the guest memory with a file (QEMU: memory-backend-memfd,share=on)"
      );
    }
    if (!allows(entry, access)) return `that mapping does not allow a ${access}`;
    return "it runs beyond the mapping into a hole or another one";
  }
}

/**
 * {@link GuestMemory} over a table of mappings, which stays the caller's to change.
 *
 * @param onUnreachable - told once for each mapping without memory that somebody reaches for
 */
export function createGuestMemory(
  map: DmaMap,
  onUnreachable?: (iova: number) => void,
): GuestMemory {
  return new MappedGuestMemory(map, onUnreachable);
}

/** The least that is looked at by itself, in bytes: a descriptor. */
const LEAST_VIEW = 16;

/**
 * A view for whoever is told of each use: of what was asked for, so that the next descriptor is asked for
 * anew, since its guest may be writing there; what is smaller than one goes on to the end of its page.
 */
function withinPage({ span, end }: DmaEntry, iova: number, length: number): MemorySpan | undefined {
  if (span === undefined) return undefined;
  const last = iova + Math.max(length, 1);
  const stop = length >= LEAST_VIEW ? last : Math.ceil(last / DMA_PAGE_SIZE) * DMA_PAGE_SIZE;
  const size = Math.min(end, stop) - iova;
  const bytes = span.bytes.subarray(iova - span.base, iova - span.base + size);
  const data = new DataView(bytes.buffer, bytes.byteOffset, size);
  return { base: iova, size, bytes, data };
}

function isRange(iova: number, length: number): boolean {
  return (
    Number.isSafeInteger(iova) &&
    Number.isSafeInteger(length) &&
    iova >= 0 &&
    length >= 0 &&
    iova + length <= LIMIT
  );
}

function allows(entry: DmaEntry, access: Access): boolean {
  if (entry.span === undefined) return false;
  // A device reads what its user mapped readable, and writes what was mapped writable.
  return access === "read" ? entry.mapping.read : entry.mapping.write;
}

function show(iova: number): string {
  return Number.isSafeInteger(iova) && iova >= 0 ? `0x${iova.toString(16)}` : String(iova);
}
