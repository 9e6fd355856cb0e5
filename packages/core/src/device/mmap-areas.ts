import type { MmapArea } from "./info.ts";
import { withoutRanges, type Stretch } from "./stretches.ts";

/** Areas are whole pages of this size, in bytes. */
export const MMAP_PAGE_SIZE = 4096;

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

/** `stretches`, each grown to whole pages. */
export function pagesOf(stretches: readonly Stretch[]): readonly Stretch[] {
  return stretches.map(({ offset, size }) => {
    const from = Math.floor(offset / MMAP_PAGE_SIZE) * MMAP_PAGE_SIZE;
    const to = Math.ceil((offset + size) / MMAP_PAGE_SIZE) * MMAP_PAGE_SIZE;
    return { offset: from, size: to - from };
  });
}

/** `areas` without every page that one of `holes` touches. */
export function withoutStretches(
  areas: readonly MmapArea[],
  holes: readonly Stretch[],
): readonly MmapArea[] {
  return withoutRanges(areas, pagesOf(holes));
}

/** True where both lists have the same areas. */
export function sameAreas(a: readonly MmapArea[], b: readonly MmapArea[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ offset, size }, i) => offset === b[i]?.offset && size === b[i].size)
  );
}
