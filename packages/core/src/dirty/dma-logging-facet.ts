import type { IovaRange } from "../device/dma.ts";

export interface DmaLoggingStart {
  /** Wanted page size in bytes, a power of two. */
  readonly pageSize: number;
  /** Sorted or not, without overlap; empty means all addresses. */
  readonly ranges: readonly IovaRange[];
}

/** Log of the device's writes to guest memory (`VFIO_DEVICE_FEATURE_DMA_LOGGING_*`). */
export interface DmaLoggingFacet {
  /** Settles with the granted page size, once nothing that the device writes can be missed. */
  start(request: DmaLoggingStart): Promise<number>;
  stop(): Promise<void>;
  /**
   * Reads and clears: sets bit n of `bitmap` (least significant first) where page n of the range was
   * written. Bits are only ever set; holes read as clean. Any failure means that everything is dirty.
   */
  report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void>;
}
