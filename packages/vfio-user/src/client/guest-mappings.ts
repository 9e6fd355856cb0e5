import {
  createDmaMap,
  createReachableMemory,
  VfmigError,
  type DmaEntry,
  type DmaMap,
  type DmaMapping,
  type IovaRange,
  type ReachableMemory,
} from "@vfmig/core";
import { describeRange } from "../codec/dma.ts";

/** What this client has mapped, so that it can answer the server's DMA messages. */
export class GuestMappings {
  readonly memory: ReachableMemory;
  readonly #map: DmaMap = createDmaMap();
  readonly #limit: number;
  readonly #pageMask: bigint;

  #mayWait = false;

  /** What the server allows: most mappings, and its smallest page in bytes. */
  constructor(limit: number, pageSize: number) {
    this.#limit = limit;
    this.#pageMask = BigInt(pageSize - 1);
    this.memory = createReachableMemory(this.#map);
  }

  /** True where an access may have to wait, as some of the memory is elsewhere. */
  get mayWait(): boolean {
    return this.#mayWait;
  }

  /**
   * Notes a mapping before the server is told: it may ask for its memory at once. Undefined where messages
   * could not reach it, which only matters for memory without fd.
   * @throws VfmigError `ERR_VFMIG_DMA_MAP`
   */
  add(mapping: DmaMapping, withFd: boolean): DmaEntry | undefined {
    if (this.#map.size >= this.#limit) {
      throw refused(mapping, `the server takes ${this.#limit} mappings`, "ENOSPC");
    }
    if (((mapping.iova | mapping.size) & this.#pageMask) !== 0n) {
      throw refused(mapping, `the server maps in pages of ${this.#pageMask + 1n} bytes`, "EINVAL");
    }
    if (mapping.remote !== undefined) this.#mayWait = true;
    try {
      return this.#map.add(mapping);
    } catch (error) {
      // The server judges what it can reach without us.
      if (withFd) return undefined;
      throw error;
    }
  }

  /** The server has refused the mapping. */
  undo(entry: DmaEntry | undefined): void {
    if (entry !== undefined) this.#map.remove(entry);
  }

  /** The server has unmapped the range. */
  remove(range: IovaRange): void {
    const start = Number(range.iova);
    const entry = this.#map.entries[this.#map.firstEndingAfter(start)];
    if (entry?.mapping.iova === range.iova && entry.mapping.size === range.size) {
      this.#map.remove(entry);
    }
  }

  clear(): void {
    this.#map.removeAll();
  }
}

function refused(mapping: DmaMapping, why: string, errno: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_DMA_MAP",
    `vfio-user: cannot map ${describeRange(mapping)} for DMA: ${why}`,
    { layer: "vfio-user", details: { iova: mapping.iova, size: mapping.size, errno } },
  );
}
