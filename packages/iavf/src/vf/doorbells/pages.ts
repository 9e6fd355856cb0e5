import type { DeviceInfo, MmapArea, RegionRange } from "@vfmig/core";
import { PCI_REGION } from "@vfmig/core";
import { VF_REGISTER } from "../../registers.ts";

const PAGE = 0x1000;

/**
 * Pages of BAR0 that nobody but a relay has to see: the tails of Tx, and those of Rx with the throttling
 * and the control of queue vectors. Mailbox and vector 0 lie in others.
 */
export const QUEUE_PAGES: readonly RegionRange[] = [
  { offset: VF_REGISTER.QTX_TAIL1, size: PAGE },
  { offset: VF_REGISTER.QRX_TAIL1, size: 2 * PAGE },
];

/** The areas of {@link QUEUE_PAGES} that a base lets a user map. */
export function mappablePages({ regions }: DeviceInfo): readonly MmapArea[] {
  const areas = regions[PCI_REGION.BAR0]?.mmap?.areas ?? [];
  return areas.flatMap((area) =>
    QUEUE_PAGES.flatMap((pages) => {
      const offset = Math.max(area.offset, pages.offset);
      const end = Math.min(area.offset + area.size, pages.offset + pages.size);
      return end > offset ? [{ offset, size: end - offset }] : [];
    }),
  );
}
