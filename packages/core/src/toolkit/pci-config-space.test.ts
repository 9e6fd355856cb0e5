import { describe, expect, test } from "vitest";
import { PCI_REGION } from "../device/info.ts";
import type { BaseAccess } from "../sub-driver/context.ts";
import { PciConfigSpace } from "./pci-config-space.ts";

const COMMAND = 0x04;
const BUS_MASTER = 0x4;
/** Where this function has its PCI Express capability. */
const EXPRESS = 0x60;
const DEVICE_CONTROL = EXPRESS + 8;

interface Function {
  readonly base: BaseAccess;
  readonly bytes: Uint8Array;
  readonly writes: string[];
}

/** @param chain - capabilities as offset, id, next */
function pciFunction(chain: readonly (readonly [number, number, number])[]): Function {
  const bytes = new Uint8Array(256);
  const writes: string[] = [];
  bytes[0x34] = chain[0]?.[0] ?? 0;
  for (const [at, id, next] of chain) bytes.set([id, next], at);
  const base: BaseAccess = {
    info: { regions: [] } as never,
    readRegion: (index, offset, into) => {
      expect(index).toBe(PCI_REGION.CONFIG);
      into.set(bytes.subarray(offset, offset + into.length));
    },
    writeRegion: (_index, offset, from) => {
      writes.push(`${offset.toString(16)}=${Buffer.from(from).toString("hex")}`);
      bytes.set(from, offset);
    },
    reset: () => Promise.resolve(),
  };
  return { base, bytes, writes };
}

const withExpress = (): Function =>
  pciFunction([
    [0x40, 0x11, EXPRESS],
    [EXPRESS, 0x10, 0],
  ]);

const master = ({ bytes }: Function): boolean => ((bytes[COMMAND] ?? 0) & BUS_MASTER) !== 0;

describe("PCI config space", () => {
  test.each([
    ["a byte in the second half of Device Control", DEVICE_CONTROL + 1, [0x80], 1],
    ["Device Control as a word", DEVICE_CONTROL, [0x00, 0x80], 1],
    ["Device Control with Device Status", DEVICE_CONTROL, [0x00, 0x80, 0, 0], 1],
    ["a word that only ends before the bit", DEVICE_CONTROL, [0x80], 0],
    ["Device Control without the bit", DEVICE_CONTROL, [0xff, 0x7f], 0],
    ["what lies behind it", DEVICE_CONTROL + 2, [0x80, 0x80], 0],
  ])("sees a function level reset in %s, or none: %i", (_what, offset, bytes, resets) => {
    let seen = 0;
    const it = withExpress();
    const config = new PciConfigSpace(it.base, () => seen++);
    config.write(offset, Uint8Array.from(bytes));
    expect(seen).toBe(resets);
    expect(it.writes).toEqual([`${offset.toString(16)}=${Buffer.from(bytes).toString("hex")}`]);
  });

  test("is trapped at the command register and at Device Control, where there is one", () => {
    const trapped = (it: Function): unknown => new PciConfigSpace(it.base, () => {}).trapped;
    const command = { offset: COMMAND, size: 2 };
    expect(trapped(withExpress())).toEqual([command, { offset: DEVICE_CONTROL, size: 2 }]);
    expect(trapped(pciFunction([[0x40, 0x11, 0]]))).toEqual([command]);
  });

  test("does not follow a list of capabilities that runs in a circle, or leaves its place", () => {
    const circle = pciFunction([
      [0x40, 0x11, 0x50],
      [0x50, 0x05, 0x40],
    ]);
    expect(new PciConfigSpace(circle.base, () => {}).trapped).toHaveLength(1);
    const low = pciFunction([[0x40, 0x11, 0x10]]);
    low.bytes[0x10] = 0x10;
    expect(new PciConfigSpace(low.base, () => {}).trapped).toHaveLength(1);
  });

  test("keeps the device on the bus while it is held, and shows the guest what it wrote", () => {
    const it = withExpress();
    const config = new PciConfigSpace(it.base, () => {});
    const first = config.hold();
    const second = config.hold();
    expect([master(it), config.busMaster]).toEqual([true, false]);
    const seen = new Uint8Array(4);
    config.read(COMMAND, seen);
    expect((seen[0] ?? 0) & BUS_MASTER).toBe(0);
    first();
    first();
    expect(master(it)).toBe(true);
    config.write(COMMAND, Uint8Array.of(BUS_MASTER | 2, 0));
    second();
    expect([master(it), config.busMaster]).toEqual([true, true]);
    config.write(COMMAND, Uint8Array.of(2, 0));
    expect([master(it), config.busMaster]).toEqual([false, false]);
    expect((it.bytes[COMMAND] ?? 0) & 2).toBe(2);
  });

  test("counts bus mastering as off after a reset, and on again where it is held", () => {
    const it = withExpress();
    const config = new PciConfigSpace(it.base, () => {});
    config.setBusMaster(true);
    expect(master(it)).toBe(true);
    const release = config.hold();
    it.bytes[COMMAND] = 0;
    config.refresh();
    expect([master(it), config.busMaster]).toEqual([true, false]);
    release();
    expect(master(it)).toBe(false);
  });
});
