import type { MmapArea } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { readU64, writeU64 } from "./wire.ts";

/** One area on the wire: offset and size, 64 bits each. */
export const AREA_BYTES = 16;
/** A region has few areas; more is a hostile or broken peer. */
export const MAX_AREAS = 1024;

export function writeAreas(view: DataView, at: number, areas: readonly MmapArea[]): void {
  let cursor = at;
  for (const area of areas) {
    writeU64(view, cursor, area.offset);
    writeU64(view, cursor + 8, area.size);
    cursor += AREA_BYTES;
  }
}

/**
 * Reads areas that must be in order, apart and inside `limit` bytes.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function readAreas(view: DataView, at: number, count: number, limit: number): MmapArea[] {
  const areas: MmapArea[] = [];
  let end = 0;
  for (let i = 0; i < count; i += 1) {
    const offset = readU64(view, at + i * AREA_BYTES);
    const size = readU64(view, at + i * AREA_BYTES + 8);
    if (offset < end || offset + size > limit) {
      throw refusal("EINVAL", `mmap area ${i} (offset ${offset}, size ${size}) is not in order`, {
        offset,
        size,
      });
    }
    end = offset + size;
    areas.push({ offset, size });
  }
  return areas;
}
