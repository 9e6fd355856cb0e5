import type { RegionFacet, RegionRange } from "@vfmig/core";

/** A stretch of a region whose accesses come by, for people and reports. */
export interface TrappedStretch extends RegionRange {
  readonly region: number;
}

/**
 * All that is trapped now.
 *
 * @param pages - what `bar0` has trapped at run time, in the place of what it traps itself there
 */
export function trappedNow(
  bar0: RegionFacet,
  config: RegionFacet,
  pages: readonly RegionRange[],
): readonly TrappedStretch[] {
  const inside = ({ offset, size }: RegionRange): boolean =>
    pages.some((page) => page.offset <= offset && offset + size <= page.offset + page.size);
  const ranges = [...bar0.trapped.filter((range) => !inside(range)), ...pages];
  return [
    ...stretches(
      bar0.index,
      ranges.toSorted((a, b) => a.offset - b.offset),
    ),
    ...stretches(config.index, config.trapped),
  ];
}

function stretches(region: number, ranges: readonly RegionRange[]): TrappedStretch[] {
  return ranges.map(({ offset, size }) => ({ region, offset, size }));
}
