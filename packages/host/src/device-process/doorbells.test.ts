import { type DeviceInfo, IRQ_TYPE } from "@vfmig/core";
import { expect, test } from "vitest";
import { doorbellsOf } from "./doorbells.ts";

const irq = {
  index: 0,
  count: 1,
  eventfd: true,
  maskable: false,
  automasked: false,
  noResize: false,
};

function info(areas: readonly { offset: number; size: number }[], layouts: boolean): DeviceInfo {
  const mmap = areas.length === 0 ? undefined : { fd: 3, fdOffset: 0n, areas };
  return {
    identity: { device: "vf", base: { name: "model", version: "1" } },
    pci: true,
    resettable: true,
    regions: [{ index: 0, size: 0x1_0000, read: true, write: true, mmap }],
    irqs: layouts ? [irq, { ...irq, index: 1, type: IRQ_TYPE.LAYOUT }] : [irq],
    iovaWindows: [],
  };
}

test("Doorbells are trapped, direct, or lent to clients that can be asked to give them back", () => {
  const page = [{ offset: 0, size: 4096 }];
  expect(doorbellsOf(info([], false))).toBe("trapped");
  expect(doorbellsOf(info(page, false))).toBe("direct");
  expect(doorbellsOf(info(page, true))).toBe("lent");
  // Not yet, but as soon as the driver lets go of them.
  expect(doorbellsOf(info([], true))).toBe("lent");
});
