import type { MmapArea } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { AREA_BYTES, MAX_AREAS, readAreas, writeAreas } from "./mmap-areas.ts";
import { exactPayload, needPayload } from "./wire.ts";

/** `REGION_UNMAPPED`: offsets in the payload, in bytes. The reply is a header only. */
export const REGION_UNMAPPED = {
  ARGSZ: 0,
  FLAGS: 4,
  REGION: 8,
  COUNT: 12,
  AREAS: 16,
  BYTES: 16,
} as const;

const NAME = "REGION_UNMAPPED";

/** Areas of a region that the client does not map any more; undefined: all of it. */
export interface RegionUnmapped {
  readonly region: number;
  readonly areas: readonly MmapArea[] | undefined;
}

export function regionUnmappedBytes({ areas = [] }: RegionUnmapped): number {
  return REGION_UNMAPPED.BYTES + areas.length * AREA_BYTES;
}

export function writeRegionUnmapped(view: DataView, at: number, request: RegionUnmapped): number {
  const total = regionUnmappedBytes(request);
  view.setUint32(at + REGION_UNMAPPED.ARGSZ, total, true);
  view.setUint32(at + REGION_UNMAPPED.FLAGS, 0, true);
  view.setUint32(at + REGION_UNMAPPED.REGION, request.region, true);
  view.setUint32(at + REGION_UNMAPPED.COUNT, request.areas?.length ?? 0, true);
  writeAreas(view, at + REGION_UNMAPPED.AREAS, request.areas ?? []);
  return total;
}

/**
 * Reads a request: whole pages, in order and apart; a count of 0 means the whole region.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function readRegionUnmapped(
  view: DataView,
  at: number,
  length: number,
  pageSize: number,
): RegionUnmapped {
  needPayload(NAME, length, REGION_UNMAPPED.BYTES);
  const flags = view.getUint32(at + REGION_UNMAPPED.FLAGS, true);
  const count = view.getUint32(at + REGION_UNMAPPED.COUNT, true);
  if (flags !== 0) throw refusal("EINVAL", `${NAME}: flags 0x${flags.toString(16)}`, { flags });
  if (count > MAX_AREAS) throw refusal("E2BIG", `${NAME}: ${count} areas`, { count });
  const total = REGION_UNMAPPED.BYTES + count * AREA_BYTES;
  exactPayload(NAME, length, total);
  const argsz = view.getUint32(at + REGION_UNMAPPED.ARGSZ, true);
  if (argsz !== total)
    throw refusal("EINVAL", `${NAME}: argsz is ${argsz}, not ${total}`, { argsz });
  const region = view.getUint32(at + REGION_UNMAPPED.REGION, true);
  if (count === 0) return { region, areas: undefined };
  const areas = readAreas(view, at + REGION_UNMAPPED.AREAS, count, Number.MAX_SAFE_INTEGER);
  for (const { offset, size } of areas) {
    if (size > 0 && offset % pageSize === 0 && size % pageSize === 0) continue;
    throw refusal("EINVAL", `${NAME}: offset ${offset}, size ${size} are no whole pages`, {
      offset,
      size,
    });
  }
  return { region, areas };
}
