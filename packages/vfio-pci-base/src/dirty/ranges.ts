import type { IovaRange } from "@vfmig/core";

/** Sorted ranges that neither touch nor overlap, widened to whole pages. */
export function mergeRanges(ranges: readonly IovaRange[], pageSize: bigint): readonly IovaRange[] {
  const widened = ranges.map(({ iova, size }) => {
    const first = (iova / pageSize) * pageSize;
    const end = ((iova + size + pageSize - 1n) / pageSize) * pageSize;
    return { iova: first, size: end - first };
  });
  const merged: IovaRange[] = [];
  for (const range of widened.toSorted((a, b) => (a.iova < b.iova ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || range.iova > last.iova + last.size) {
      merged.push(range);
      continue;
    }
    const end = range.iova + range.size;
    const size = (end > last.iova + last.size ? end : last.iova + last.size) - last.iova;
    merged[merged.length - 1] = { iova: last.iova, size };
  }
  return merged;
}

/** At most `most` ranges that cover all of `ranges`, which are merged: the narrowest gaps are filled. */
export function atMost(ranges: readonly IovaRange[], most: number): readonly IovaRange[] {
  if (ranges.length <= most) return ranges;
  const gaps = ranges
    .slice(1)
    .map((range, i) => ({ at: i + 1, gap: range.iova - endOf(ranges[i]) }))
    .toSorted((a, b) => (a.gap > b.gap ? -1 : 1))
    .slice(0, most - 1)
    .map(({ at }) => at)
    .toSorted((a, b) => a - b);
  const starts = [0, ...gaps];
  return starts.map((start, i) => {
    const end = endOf(ranges[(starts[i + 1] ?? ranges.length) - 1]);
    const iova = ranges[start]?.iova ?? 0n;
    return { iova, size: end - iova };
  });
}

/** True where one of `ranges` holds all of `range`. */
export function covers(ranges: readonly IovaRange[], range: IovaRange): boolean {
  return ranges.some((each) => each.iova <= range.iova && endOf(range) <= endOf(each));
}

function endOf(range: IovaRange | undefined): bigint {
  return range === undefined ? 0n : range.iova + range.size;
}
