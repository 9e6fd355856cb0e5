import type { RemoteMemory } from "../device/dma.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { IOVA_LIMIT, type DmaEntry, type DmaMap } from "./dma-map.ts";

const LIMIT = Number(IOVA_LIMIT);

type Access = "read" | "write";

/** How memory is reached: by a copy at once, or by messages to the client. */
export type MemoryWay = "copy" | "messages";

/**
 * The guest's memory wherever it is: copied at once where all of a range came with memory, by messages to
 * the client where a part of it did not. For devices that can wait, such as models; a device that hands
 * addresses to hardware has to take memory without a file as a hole.
 *
 * Addresses are IOVAs below 2^52 in bytes. Nothing is returned where the copy is done already, so that a
 * hot path awaits only where it has to.
 */
export interface ReachableMemory {
  /** How all of `[iova, iova + length)` would be reached now; undefined where nothing may. Never throws. */
  way(iova: number, length: number, access: "read" | "write"): MemoryWay | undefined;
  /**
   * Fills `into`, which is the callee's until the answer settles.
   * @throws VfmigError `ERR_VFMIG_GUEST_ADDRESS` for a hole, a wrong direction, a NaN
   */
  read(iova: number, into: Uint8Array): void | Promise<void>;
  /** As {@link ReachableMemory.read}, the other way; `from` must not change until the answer settles. */
  write(iova: number, from: Uint8Array): void | Promise<void>;
}

class MappedReachableMemory implements ReachableMemory {
  readonly #map: DmaMap;

  constructor(map: DmaMap) {
    this.#map = map;
  }

  read(iova: number, into: Uint8Array): void | Promise<void> {
    return this.#copy(iova, into, "read");
  }

  write(iova: number, from: Uint8Array): void | Promise<void> {
    return this.#copy(iova, from, "write");
  }

  way(iova: number, length: number, access: Access): MemoryWay | undefined {
    const found = this.#look(iova, length, access);
    return found === "copy" || found === "messages" ? found : undefined;
  }

  /** Checks the whole way first, so that a hole in the middle leaves nothing half written. */
  #copy(iova: number, bytes: Uint8Array, access: Access): void | Promise<void> {
    const found = this.#look(iova, bytes.length, access);
    if (found === "messages") return this.#copyByMessages(iova, bytes, access);
    if (found !== "copy") throw refuse(iova, bytes.length, access, found.why);
    const end = iova + bytes.length;
    for (let at = iova; at < end;) at = this.#copyPart(iova, at, bytes, access);
  }

  /** How a range is reached, or why it is not. */
  #look(iova: number, length: number, access: Access): MemoryWay | { readonly why: string } {
    const end = iova + length;
    if (!Number.isSafeInteger(iova) || iova < 0 || length < 0 || !(end <= LIMIT)) {
      return { why: "that is no range of addresses below 2^52" };
    }
    let way: MemoryWay = "copy";
    for (let at = iova; at < end;) {
      const entry = this.#entryAt(at);
      if (entry === undefined) return { why: "nothing is mapped there" };
      if (!entry.mapping[access]) return { why: `that mapping does not allow a ${access}` };
      if (entry.span === undefined) {
        if (entry.mapping.remote === undefined) {
          return { why: "nothing can reach the memory there" };
        }
        way = "messages";
      }
      at = entry.end;
    }
    return way;
  }

  /** Entries may go while a message is answered, so each is looked up when its turn comes. */
  async #copyByMessages(iova: number, bytes: Uint8Array, access: Access): Promise<void> {
    const end = iova + bytes.length;
    for (let at = iova; at < end;) {
      const entry = this.#entryAt(at);
      const remote = entry?.span === undefined ? entry?.mapping.remote : undefined;
      if (entry === undefined || remote === undefined) {
        at = this.#copyPart(iova, at, bytes, access);
        continue;
      }
      const stop = Math.min(end, entry.end);
      await exchange(remote, at, bytes.subarray(at - iova, stop - iova), access);
      at = stop;
    }
  }

  #copyPart(iova: number, at: number, bytes: Uint8Array, access: Access): number {
    const entry = this.#entryAt(at);
    const span = entry?.span;
    if (entry === undefined || span === undefined || !entry.mapping[access]) {
      throw refuse(iova, bytes.length, access, "the memory there was unmapped meanwhile");
    }
    const stop = Math.min(iova + bytes.length, entry.end);
    entry.mapping.memory?.onUse?.(at, stop - at, access);
    const guest = span.bytes.subarray(at - span.base, stop - span.base);
    const ours = bytes.subarray(at - iova, stop - iova);
    if (access === "read") ours.set(guest);
    else guest.set(ours);
    return stop;
  }

  #entryAt(iova: number): DmaEntry | undefined {
    const entry = this.#map.entries[this.#map.firstEndingAfter(iova)];
    return entry !== undefined && entry.usable && iova >= entry.start ? entry : undefined;
  }
}

function exchange(
  remote: RemoteMemory,
  iova: number,
  bytes: Uint8Array,
  access: Access,
): Promise<void> {
  return access === "read" ? remote.read(BigInt(iova), bytes) : remote.write(BigInt(iova), bytes);
}

function refuse(iova: number, length: number, access: Access, why: string): VfmigError {
  const place = Number.isSafeInteger(iova) && iova >= 0 ? `0x${iova.toString(16)}` : String(iova);
  return new VfmigError(
    "ERR_VFMIG_GUEST_ADDRESS",
    `The guest gave address ${place}, length ${length}, for a ${access}, but ${why}.`,
    { layer: "core", details: { iova, length, access, errno: "EFAULT" } },
  );
}

/** {@link ReachableMemory} over a table of mappings, which stays the caller's to change. */
export function createReachableMemory(map: DmaMap): ReachableMemory {
  return new MappedReachableMemory(map);
}
