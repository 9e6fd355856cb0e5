/** `VFIO_USER_REGION_READ` and `VFIO_USER_REGION_WRITE`: offsets in the payload, in bytes. */
export const REGION_ACCESS = {
  OFFSET: 0,
  REGION: 8,
  COUNT: 12,
  DATA: 16,
  BYTES: 16,
} as const;

/** Writes the fixed part; the data of a write follows at {@link REGION_ACCESS}.DATA. */
export function writeRegionAccess(
  view: DataView,
  at: number,
  offset: number,
  region: number,
  count: number,
): void {
  view.setUint32(at + REGION_ACCESS.OFFSET, offset % 0x1_0000_0000, true);
  view.setUint32(at + REGION_ACCESS.OFFSET + 4, Math.floor(offset / 0x1_0000_0000), true);
  view.setUint32(at + REGION_ACCESS.REGION, region, true);
  view.setUint32(at + REGION_ACCESS.COUNT, count, true);
}
