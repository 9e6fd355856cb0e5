/**
 * One mapping of guest memory, found without allocating: byte `iova` of the guest stands at
 * `iova - base` of `bytes` and of `data`. Dropped when its mapping is: never keep one across an await.
 */
export interface MemorySpan {
  readonly base: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly data: DataView;
}

/**
 * The guest's memory as a device sees it. Every address comes from the guest, so every call checks it.
 * Addresses are IOVAs below 2^52 in bytes, as numbers, since hot loops use them.
 */
export interface GuestMemory {
  /**
   * The mapping that holds all of `[iova, iova + length)`; allocates nothing.
   * @throws VfmigError `ERR_VFMIG_GUEST_ADDRESS` for a hole, a border crossed, a wrong direction, a NaN
   */
  span(iova: number, length: number, access: "read" | "write"): MemorySpan;
  /** As {@link GuestMemory.span}, but undefined instead of an error; also allocates nothing. */
  find(iova: number, length: number, access: "read" | "write"): MemorySpan | undefined;
  /** Copies out of guest memory, across adjacent mappings. */
  read(iova: number, into: Uint8Array): void;
  /** Copies into guest memory, across adjacent mappings. */
  write(iova: number, from: Uint8Array): void;
}
