import { type DeviceInfo, type MmapArea, PCI_REGION, type RegionRange } from "@vfmig/core";
import { BAR0_SIZE } from "../registers/registers.ts";

/** Where the pages begin that a guest may have to itself: interrupts, receive and transmit queues. */
export const OWN_FROM = 0x1000;

/** The pages that a guest may have to itself; what is before them (mailbox, statistics) is always interposed. */
export const OWN_PAGES: readonly RegionRange[] = [{ offset: OWN_FROM, size: BAR0_SIZE - OWN_FROM }];

/** All of BAR0: while queues are relayed each of its pages holds a register that the plugin answers itself. */
export const ALL_PAGES: readonly RegionRange[] = [{ offset: 0, size: BAR0_SIZE }];

/** What is interposed of a guest that has the other pages to itself. */
export const FIRST_PAGE: readonly RegionRange[] = [{ offset: 0, size: OWN_FROM }];

/** The guest's own pages, as far as the base lets a user map them. */
export function mappablePages({ regions }: DeviceInfo): readonly MmapArea[] {
  const areas = regions[PCI_REGION.BAR0]?.mmap?.areas ?? [];
  return areas.flatMap(({ offset, size }) => {
    const from = Math.max(offset, OWN_FROM);
    const to = Math.min(offset + size, BAR0_SIZE);
    return to > from ? [{ offset: from, size: to - from }] : [];
  });
}
