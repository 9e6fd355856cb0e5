import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { capabilities } from "./capability-chain.ts";

const MINIMUM = 32;

/** A structure with entries {place, id, next} in it. */
function chain(size: number, ...entries: readonly (readonly [number, number, number])[]): DataView {
  const view = new DataView(new ArrayBuffer(size));
  for (const [at, id, next] of entries) {
    view.setUint16(at, id, true);
    view.setUint16(at + 2, 1, true);
    view.setUint32(at + 4, next, true);
  }
  return view;
}

const ids = (view: DataView, first = MINIMUM): number[] =>
  capabilities(view, first, MINIMUM).map(({ id }) => id);

describe("a chain of capabilities", () => {
  it("is walked to its end, in any order in memory", () => {
    expect(ids(chain(80, [32, 1, 64], [64, 3, 48], [48, 2, 0]))).toEqual([1, 3, 2]);
    expect(ids(chain(80), 0)).toEqual([]);
  });

  it.each([
    ["into itself", chain(80, [32, 1, 32]), [1]],
    ["round in a circle", chain(80, [32, 1, 48], [48, 2, 32]), [1, 2]],
    ["back into the structure", chain(80, [32, 1, 8]), [1]],
    ["out of the memory", chain(80, [32, 1, 73]), [1]],
    ["far out of the memory", chain(80, [32, 1, 0xffff_fff8]), [1]],
  ])("that leads %s ends there", (_, view, found) => {
    expect(ids(view)).toEqual(found);
  });

  it("of any bytes has an end, and every entry inside", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 40, maxLength: 4096 }), fc.nat(4200), (bytes, at) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const found = capabilities(view, at, MINIMUM);
        expect(found.length).toBeLessThanOrEqual(64);
        for (const each of found) {
          expect(each.at).toBeGreaterThanOrEqual(MINIMUM);
          expect(each.at + 8).toBeLessThanOrEqual(bytes.length);
        }
      }),
    );
  });
});
