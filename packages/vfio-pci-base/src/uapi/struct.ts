/** A request's memory and a view of it, little endian as every machine that this runs on. */
export interface Struct {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** @param size bytes, zeroed */
export function struct(size: number): Struct {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** As {@link struct}, with the size in its first field: `argsz` of VFIO, `size` of iommufd. */
export function sized(size: number): Struct {
  const made = struct(size);
  made.view.setUint32(0, size, true);
  return made;
}

/** A 64-bit field as a number; what lies beyond 2^53 becomes the largest exact number. */
export function wide(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
