/** Memory of a guest that this process can reach directly. */
export interface SharedMemory {
  /** The bytes of the mapping, from its first to its last. Detached once it is unmapped. */
  readonly bytes: Uint8Array;
  /** The file behind it, for a base that maps it for a device. */
  readonly fd?: number | undefined;
  /** Offset of the first byte in that file. */
  readonly fdOffset?: bigint | undefined;
  /** Address of the first byte in this process (`vaddr` of `VFIO_IOMMU_MAP_DMA`). */
  readonly address?: bigint | undefined;
  /**
   * Asked with an IOVA and a length in bytes when the device reaches for this memory, until it answers true
   * or is gone: so that whoever gave the memory can compare what the device finds there with what the guest
   * has.
   */
  readonly onUse?:
    | ((iova: number, length: number, access: "read" | "write") => boolean)
    | undefined;
  /**
   * Views begin where they are asked for and end with a page of 4,096 bytes, so that no page is reached
   * without `onUse`. Costs a view for each use: for recordings.
   */
  readonly pagewise?: boolean | undefined;
}

/** Memory of a guest that is reached by messages only. */
export interface RemoteMemory {
  read(iova: bigint, into: Uint8Array): Promise<void>;
  write(iova: bigint, from: Uint8Array): Promise<void>;
}

/** One DMA mapping. `memory` where it came with an fd, else `remote` where messages reach it. */
export interface DmaMapping {
  readonly iova: bigint;
  /** Bytes. */
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly memory?: SharedMemory | undefined;
  readonly remote?: RemoteMemory | undefined;
}

/** A stretch of IOVA space, in bytes. */
export interface IovaRange {
  readonly iova: bigint;
  readonly size: bigint;
}
