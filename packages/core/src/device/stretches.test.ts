import * as fc from "fast-check";
import { expect, it } from "vitest";
import { overlap, unionOf, withoutRanges, type Stretch } from "./stretches.ts";

const SIZE = 48;
const stretch = fc
  .tuple(fc.integer({ min: 0, max: SIZE - 1 }), fc.integer({ min: 1, max: 12 }))
  .map(([offset, size]) => ({ offset, size: Math.min(size, SIZE - offset) }));
const stretches = fc.array(stretch, { maxLength: 6 });
const apart = stretches.map((list) => [...unionOf(list, [])]);

function bytes(list: readonly Stretch[]): boolean[] {
  return Array.from({ length: SIZE }, (_, at) =>
    list.some(({ offset, size }) => at >= offset && at < offset + size),
  );
}

it("what is taken away is gone, and nothing else is", () => {
  fc.assert(
    fc.property(apart, stretches, (ranges, holes) => {
      const rest = bytes(withoutRanges(ranges, holes));
      const hole = bytes(holes);
      expect(rest).toEqual(bytes(ranges).map((inside, at) => inside && !hole[at]));
    }),
  );
});

it("a union has every byte once, sorted and with gaps between", () => {
  fc.assert(
    fc.property(stretches, stretches, (a, b) => {
      const union = unionOf(a, b);
      expect(bytes(union)).toEqual(bytes([...a, ...b]));
      for (const [i, { offset }] of union.entries()) {
        const before = union[i - 1];
        if (before !== undefined) expect(offset).toBeGreaterThan(before.offset + before.size);
      }
    }),
  );
});

it("ranges overlap where they share a byte", () => {
  fc.assert(
    fc.property(stretches, stretches, (a, b) => {
      const [x, y] = [bytes(a), bytes(b)];
      expect(overlap(a, b)).toBe(x.some((inside, at) => inside && (y[at] ?? false)));
    }),
  );
});
