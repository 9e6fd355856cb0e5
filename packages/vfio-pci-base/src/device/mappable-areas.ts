import type { MmapArea } from "@vfmig/core";
import type { KernelRegion } from "../uapi/device-info.ts";
import type { MsixTable } from "./msix-table.ts";

const PAGE = 4096;

/**
 * The areas of a region that may be mapped: those that the kernel lists, else all of it, in whole pages;
 * never the pages of the MSI-X table. The kernel allows these too where interrupts are remapped, but only
 * `SET_IRQS` may program the table.
 */
export function mappableAreas(
  { index, size, mmap, sparse }: KernelRegion,
  msix: MsixTable | undefined,
): readonly MmapArea[] {
  if (!mmap || size === 0) return [];
  const whole = [{ offset: 0, size: Math.ceil(size / PAGE) * PAGE }];
  const given = (sparse ?? whole).map((area) => trim(area, size)).filter((area) => area.size > 0);
  const sorted = merge(given.toSorted((a, b) => a.offset - b.offset));
  if (msix === undefined || msix.region !== index) return sorted;
  const from = Math.floor(msix.offset / PAGE) * PAGE;
  const to = Math.ceil((msix.offset + msix.size) / PAGE) * PAGE;
  return sorted.flatMap((area) => without(area, from, to));
}

/** The whole pages of an area that lie inside the region. */
function trim({ offset, size }: MmapArea, regionSize: number): MmapArea {
  const from = Math.ceil(offset / PAGE) * PAGE;
  const to = Math.floor(Math.min(offset + size, regionSize) / PAGE) * PAGE;
  return { offset: from, size: Math.max(0, to - from) };
}

/** Areas that touch or overlap become one. */
function merge(areas: readonly MmapArea[]): readonly MmapArea[] {
  const merged: MmapArea[] = [];
  for (const area of areas) {
    const last = merged.at(-1);
    if (last === undefined || area.offset > last.offset + last.size) {
      merged.push(area);
      continue;
    }
    const end = Math.max(last.offset + last.size, area.offset + area.size);
    merged[merged.length - 1] = { offset: last.offset, size: end - last.offset };
  }
  return merged;
}

function without(area: MmapArea, from: number, to: number): readonly MmapArea[] {
  const end = area.offset + area.size;
  if (to <= area.offset || from >= end) return [area];
  return [
    { offset: area.offset, size: from - area.offset },
    { offset: to, size: end - to },
  ].filter(({ size }) => size > 0);
}
