import type { IovaWindow } from "@vfmig/core";

/** Memory that the kernel maps for the device, in bytes. */
export interface KernelMapping {
  readonly iova: bigint;
  readonly size: bigint;
  /** Where it stands in this process. */
  readonly address: bigint;
  readonly read: boolean;
  readonly write: boolean;
}

/** The device's address space, whichever way the kernel offers it. */
export interface IoSpace {
  /** IOVAs that can be mapped: the IOMMU's width without what is reserved for interrupts. */
  readonly windows: readonly IovaWindow[];
  /** What iova, size and address have to be multiples of. */
  readonly pageSize: number;
  /** Pins the memory, which takes a while for much of it. */
  map(mapping: KernelMapping): void;
  /** The same in another thread. */
  mapLater(mapping: KernelMapping): Promise<void>;
  /** Returns how many bytes were unmapped. */
  unmap(iova: bigint, size: bigint): bigint;
  unmapLater(iova: bigint, size: bigint): Promise<bigint>;
  /** Takes the device out of the address space, while it is still open. */
  detach(): void;
  /** Gives up the address space, once the device's descriptor is closed; the others stay the caller's. */
  close(): void;
}
