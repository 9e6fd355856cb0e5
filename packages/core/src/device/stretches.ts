/** A stretch of a region, in bytes. */
export interface Stretch {
  readonly offset: number;
  readonly size: number;
}

/** `ranges` without every byte of `holes`. */
export function withoutRanges(
  ranges: readonly Stretch[],
  holes: readonly Stretch[],
): readonly Stretch[] {
  let rest = ranges;
  for (const hole of holes) {
    rest = rest.flatMap((range) => cut(range, hole.offset, hole.offset + hole.size));
  }
  return rest;
}

/** Every byte of both, sorted, with borders only where there is a gap. */
export function unionOf(a: readonly Stretch[], b: readonly Stretch[]): readonly Stretch[] {
  const union: { offset: number; size: number }[] = [];
  for (const { offset, size } of [...a, ...b].toSorted((x, y) => x.offset - y.offset)) {
    const last = union.at(-1);
    if (last === undefined || last.offset + last.size < offset) union.push({ offset, size });
    else last.size = Math.max(last.size, offset + size - last.offset);
  }
  return union;
}

/** True where some byte lies in both. */
export function overlap(a: readonly Stretch[], b: readonly Stretch[]): boolean {
  return a.some((x) => b.some((y) => x.offset < y.offset + y.size && y.offset < x.offset + x.size));
}

function cut(range: Stretch, from: number, to: number): readonly Stretch[] {
  const end = range.offset + range.size;
  if (to <= range.offset || from >= end) return [range];
  const parts: Stretch[] = [];
  if (from > range.offset) parts.push({ offset: range.offset, size: from - range.offset });
  if (to < end) parts.push({ offset: to, size: end - to });
  return parts;
}
