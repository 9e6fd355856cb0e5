import { writeU64 } from "./wire.ts";

/** `VFIO_USER_DMA_READ` and `VFIO_USER_DMA_WRITE`: offsets in the payload, in bytes. */
export const DMA_ACCESS = { ADDRESS: 0, COUNT: 8, DATA: 16, BYTES: 16 } as const;

/**
 * Where QEMU up to 10.2 has the data: its struct holds the count in 32 bits. Writes are padded to the
 * length that the specification gives, and replies to reads come so.
 */
export const QEMU_10_2_DMA_DATA = 12;

/** Writes the fixed part; the data of a write follow at {@link DMA_ACCESS}.DATA. */
export function writeDmaAccess(view: DataView, at: number, address: bigint, count: number): void {
  view.setBigUint64(at + DMA_ACCESS.ADDRESS, address, true);
  writeU64(view, at + DMA_ACCESS.COUNT, count);
}
