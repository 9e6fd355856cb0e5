import type { MmapArea } from "./info.ts";

/** Areas are whole pages of this size, in bytes. */
export const MMAP_PAGE_SIZE = 4096;

interface Stretch {
  readonly offset: number;
  readonly size: number;
}

/** True where `areas` are page aligned, sorted, apart, and inside a region of `regionSize` bytes. */
export function areValidAreas(areas: readonly MmapArea[], regionSize: number): boolean {
  let end = 0;
  for (const { offset, size } of areas) {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(size)) return false;
    if (offset % MMAP_PAGE_SIZE !== 0 || size % MMAP_PAGE_SIZE !== 0 || size <= 0) return false;
    if (offset < end || offset + size > regionSize) return false;
    end = offset + size;
  }
  return true;
}

/** True where every byte of `area` lies in `areas`, which are sorted; neighbours count as one. */
export function coversArea(areas: readonly MmapArea[], area: MmapArea): boolean {
  let at = area.offset;
  const end = area.offset + area.size;
  for (const { offset, size } of areas) {
    if (offset > at) break;
    if (offset + size > at) at = offset + size;
    if (at >= end) return true;
  }
  return at >= end;
}

/** `areas` without every page that one of `holes` touches. */
export function withoutStretches(
  areas: readonly MmapArea[],
  holes: readonly Stretch[],
): readonly MmapArea[] {
  let rest: readonly MmapArea[] = areas;
  for (const hole of holes) {
    const from = Math.floor(hole.offset / MMAP_PAGE_SIZE) * MMAP_PAGE_SIZE;
    const to = Math.ceil((hole.offset + hole.size) / MMAP_PAGE_SIZE) * MMAP_PAGE_SIZE;
    rest = rest.flatMap((area) => cut(area, from, to));
  }
  return rest;
}

function cut(area: MmapArea, from: number, to: number): readonly MmapArea[] {
  const end = area.offset + area.size;
  if (to <= area.offset || from >= end) return [area];
  const parts: MmapArea[] = [];
  if (from > area.offset) parts.push({ offset: area.offset, size: from - area.offset });
  if (to < end) parts.push({ offset: to, size: end - to });
  return parts;
}
