import { PCI_REGION } from "@vfmig/core";
import { AQ_LENGTH, ARQ_REGISTERS, RSTAT, VF_REGISTER } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { VF_KINDS, rigsOf } from "./testing/rig.ts";

/** What differs: device id, place of ARI, BAR0's size mask and size. */
const EXPECTED = {
  "i40e-vf": { device: 0x154c, ari: 0x150, bar0Mask: 0xffff_000c, bar0: 0x1_0000 },
  "e810-vf": { device: 0x1889, ari: 0x148, bar0Mask: 0xfffe_000c, bar0: 0x2_0000 },
} as const;

describe.each(VF_KINDS)("%s", (kind) => {
  const expected = EXPECTED[kind];
  const { newRig, startedRig } = rigsOf(kind);

  describe("config space", () => {
    test("tells the identity of its kind of VF", () => {
      const rig = newRig({ revision: 1 });
      expect(rig.readConfig(0x00, 4)).toBe(expected.device * 0x1_0000 + 0x8086);
      expect(rig.readConfig(0x08, 4)).toBe(0x0200_0001);
      expect(rig.readConfig(0x0e, 1)).toBe(0);
      expect(rig.readConfig(0x2c, 4)).toBe(0x0000_8086);
      expect(rig.readConfig(0x3d, 1)).toBe(0);
    });

    test("chains MSI-X at 0x70 to PCI Express at 0xA0, and AER to ARI, TPH and ACS", () => {
      const rig = newRig();
      const chain: [number, number][] = [];
      for (let at = rig.readConfig(0x34, 1); at !== 0; at = rig.readConfig(at + 1, 1)) {
        chain.push([at, rig.readConfig(at, 1)]);
      }
      expect(chain).toEqual([
        [0x70, 0x11],
        [0xa0, 0x10],
      ]);
      const extended: [number, number][] = [];
      for (let at = 0x100; at !== 0; at = rig.readConfig(at, 4) >>> 20) {
        extended.push([at, rig.readConfig(at, 2)]);
      }
      expect(extended).toEqual([
        [0x100, 0x0001],
        [expected.ari, 0x000e],
        [0x1a0, 0x0017],
        [0x1d0, 0x000d],
      ]);
    });

    test("places table and pending bits of its vectors in BAR3", () => {
      const rig = newRig({ vectors: 9 });
      expect(rig.readConfig(0x72, 2)).toBe(8);
      expect(rig.readConfig(0x74, 4)).toBe(0x0000_0003);
      expect(rig.readConfig(0x78, 4)).toBe(0x0000_2003);
      rig.writeConfig(0x72, 0xffff, 2);
      expect(rig.readConfig(0x72, 2)).toBe(0xc008);
    });

    test("sizes BAR0 to its registers, BAR3 to 16 KiB, and has no other BAR", () => {
      const rig = newRig();
      for (let at = 0x10; at <= 0x24; at += 4) rig.writeConfig(at, 0xffff_ffff, 4);
      rig.writeConfig(0x30, 0xffff_ffff, 4);
      const bars = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((at) => rig.readConfig(at, 4));
      expect(bars).toEqual([expected.bar0Mask, 0xffff_ffff, 0, 0xffff_c00c, 0xffff_ffff, 0, 0]);
      expect(rig.device.info.regions.map((region) => region.size)).toEqual([
        expected.bar0,
        0,
        0,
        0x4000,
        0,
        0,
        0,
        4096,
        0,
      ]);
      expect(rig.device.info.regions.every((region) => region.mmap === undefined)).toBe(true);
    });

    test("keeps read-only bits through any write", () => {
      const rig = newRig();
      const before = new Uint8Array(4096);
      rig.device.readRegion(PCI_REGION.CONFIG, 0, before);
      for (let at = 0x40; at < 4096; at += 4) {
        if (at === 0x70 || at === 0xa8) continue;
        rig.writeConfig(at, 0xffff_ffff, 4);
      }
      rig.writeConfig(0x00, 0, 4);
      rig.writeConfig(0x08, 0, 4);
      const after = new Uint8Array(4096);
      rig.device.readRegion(PCI_REGION.CONFIG, 0, after);
      expect(after).toEqual(before);
    });

    test("offers no INTx and no MSI, MSI-X that grows, and one error and one request event", () => {
      const irqs = newRig({ vectors: 5 }).device.info.irqs;
      expect(irqs.map((irq) => irq.count)).toEqual([0, 0, 5, 1, 1]);
      expect(irqs[2]).toMatchObject({ eventfd: true, maskable: false, noResize: false });
    });

    test("the reset bit of Device Control resets the function and reads as zero", () => {
      const rig = startedRig();
      rig.writeConfig(0xa8, 0x8000, 2);
      expect(rig.readConfig(0xa8, 2)).toBe(0);
      expect(rig.readConfig(0x04, 2)).toBe(0);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
      // On E810 the PF driver clears the lengths, once it has been told.
      rig.clock.runSoon();
      expect(rig.read(ARQ_REGISTERS.len) & AQ_LENGTH.ENABLE).toBe(0);
      rig.clock.advance(20);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.ACTIVE);
    });

    test("the reset bit counts in whichever access carries its byte", () => {
      for (const [at, value, size] of [
        [0xa9, 0x80, 1],
        [0xa8, 0x8000, 4],
      ] as const) {
        const rig = newRig();
        rig.writeConfig(at, value, size);
        expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
      }
    });
  });

  describe("the MSI-X table in BAR3", () => {
    test("starts masked, keeps addresses and data, and only the mask bit of control", () => {
      const rig = newRig();
      const entry = new Uint8Array(16);
      rig.device.readRegion(PCI_REGION.BAR3, 16, entry);
      expect(entry[12]).toBe(1);
      rig.device.writeRegion(PCI_REGION.BAR3, 16, new Uint8Array(16).fill(0xff));
      rig.device.readRegion(PCI_REGION.BAR3, 16, entry);
      expect([...entry]).toEqual([0xfc, ...Array(11).fill(0xff), 1, 0, 0, 0]);
    });

    test("a write beyond its entries or to the pending bits changes nothing", () => {
      const rig = newRig();
      rig.device.writeRegion(PCI_REGION.BAR3, 0x2000, new Uint8Array(8).fill(0xff));
      rig.device.writeRegion(PCI_REGION.BAR3, 0x1000, new Uint8Array(8).fill(0xff));
      const read = new Uint8Array(8);
      rig.device.readRegion(PCI_REGION.BAR3, 0x2000, read);
      expect(read).toEqual(new Uint8Array(8));
      rig.device.readRegion(PCI_REGION.BAR3, 0x1000, read);
      expect(read).toEqual(new Uint8Array(8));
    });
  });
});
