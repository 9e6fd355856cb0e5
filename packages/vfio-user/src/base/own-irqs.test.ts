import { IRQ_TYPE, type IrqInfo } from "@vfmig/core";
import { expect, it } from "vitest";
import { ownIrqs } from "./own-irqs.ts";

const OTHER = { type: 7, subtype: 1 };

function irqs(...types: readonly IrqInfo["type"][]): readonly IrqInfo[] {
  return types.map((type, index) => ({
    index,
    count: 1,
    eventfd: true,
    maskable: false,
    automasked: false,
    noResize: false,
    type,
  }));
}

it("an index for changes of layout is no base's, and the others keep their numbers", () => {
  const given = irqs(undefined, IRQ_TYPE.LAYOUT, OTHER, IRQ_TYPE.LAYOUT);
  const own = ownIrqs(given);
  expect(own.map(({ index, count, type }) => [index, count, type])).toEqual([
    [0, 1, undefined],
    [1, 0, undefined],
    [2, 1, OTHER],
  ]);
});

it("a device without one keeps all", () => {
  const given = irqs(undefined, OTHER);
  expect(ownIrqs(given)).toEqual(given);
  expect(ownIrqs([])).toEqual([]);
});
