import { PCI_REGION } from "@vfmig/core";
import {
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  DEFAULT_HENA,
  RSTAT,
  VF_REGISTER,
  rxTail,
  txTail,
  vectorItr,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { must } from "./testing/frames.ts";
import { VF_KINDS, rigsOf } from "./testing/rig.ts";

describe.each(VF_KINDS)("%s", (kind) => {
  const { newRig } = rigsOf(kind);

  describe("BAR0", () => {
    test("tells from the start that the VF is active, and no write changes that", () => {
      const rig = newRig();
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.ACTIVE);
      rig.write(VF_REGISTER.VFGEN_RSTAT, 0);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.ACTIVE);
    });

    test("reads back all ten admin queue registers, bases also after ENABLE", () => {
      const rig = newRig();
      for (const ring of [ATQ_REGISTERS, ARQ_REGISTERS]) {
        rig.write(ring.head, 0x1_0003);
        rig.write(ring.tail, 0x1_0003);
        rig.write(ring.len, 0x8000_0020);
        rig.write(ring.bal, 0x4567_89ab);
        rig.write(ring.bah, 0x0000_0123);
        expect(
          [ring.head, ring.tail, ring.len, ring.bal, ring.bah].map((at) => rig.read(at)),
        ).toEqual([3, 3, 0x8000_0020, 0x4567_89ab, 0x123]);
      }
    });

    test("keeps the bits of tails that its kind has", () => {
      const rig = newRig();
      rig.write(txTail(15), 0xffff_ffff);
      rig.write(rxTail(15), 0xffff_ffff);
      const e810 = kind === "e810-vf";
      expect(rig.read(txTail(15))).toBe(e810 ? 0xffff_ffff : 0x1fff);
      expect(rig.read(rxTail(15))).toBe(e810 ? 0x1fff : 0x1ff8);
      rig.write(rxTail(0), 511);
      expect(rig.read(rxTail(0))).toBe(e810 ? 511 : 504);
    });

    test.runIf(kind === "i40e-vf")(
      "has default hash types, and takes key, table and intervals as written",
      () => {
        const rig = newRig();
        expect(rig.read(VF_REGISTER.VFQF_HENA)).toBe(Number(DEFAULT_HENA & 0xffff_ffffn));
        expect(rig.read(VF_REGISTER.VFQF_HENA + 4)).toBe(Number(DEFAULT_HENA >> 32n));
        rig.write(VF_REGISTER.VFQF_HKEY + 48, 0x0102_0304);
        expect(rig.read(VF_REGISTER.VFQF_HKEY + 48)).toBe(0x0102_0304);
        rig.write(VF_REGISTER.VFQF_HLUT + 60, 0xffff_ffff);
        expect(rig.read(VF_REGISTER.VFQF_HLUT + 60)).toBe(0x0f0f_0f0f);
        rig.write(vectorItr(4, 1), 25);
        expect(rig.read(vectorItr(4, 1))).toBe(25);
      },
    );

    test("reads zero where no register is, and drops what is written there", () => {
      const rig = newRig();
      for (const at of [0x0040, 0x1000, 0x8c00, 0xd800, 0xfffc]) {
        rig.write(at, 0xffff_ffff);
        expect(rig.read(at)).toBe(0);
      }
    });

    test("takes whole registers only: smaller or crooked writes are dropped, smaller reads work", () => {
      const rig = newRig();
      rig.write(ATQ_REGISTERS.bal, 0x1122_3344);
      rig.device.writeRegion(PCI_REGION.BAR0, ATQ_REGISTERS.bal, new Uint8Array([9, 9]));
      rig.device.writeRegion(PCI_REGION.BAR0, ATQ_REGISTERS.bal + 2, new Uint8Array(4));
      expect(rig.read(ATQ_REGISTERS.bal)).toBe(0x1122_3344);
      const two = new Uint8Array(2);
      rig.device.readRegion(PCI_REGION.BAR0, ATQ_REGISTERS.bal + 1, two);
      expect([...two]).toEqual([0x33, 0x22]);
    });

    test("refuses what lies outside a region", () => {
      const rig = newRig();
      const refused = (index: number, offset: number): string | undefined => {
        try {
          rig.device.readRegion(index, offset, new Uint8Array(4));
          return undefined;
        } catch (error) {
          return (error as { code?: string }).code;
        }
      };
      const size = must(rig.device.info.regions[PCI_REGION.BAR0]).size;
      expect(refused(PCI_REGION.BAR0, size - 3)).toBe("ERR_VFMIG_REGION_RANGE");
      expect(refused(PCI_REGION.BAR1, 0)).toBe("ERR_VFMIG_REGION_RANGE");
      expect(refused(9, 0)).toBe("ERR_VFMIG_REGION_INDEX");
      expect(refused(PCI_REGION.BAR0, Number.NaN)).toBe("ERR_VFMIG_REGION_RANGE");
    });

    test("a larger BAR0 is empty above the registers", () => {
      const rig = newRig({ bar0Size: 0x4_0000 });
      rig.writeConfig(0x10, 0xffff_ffff, 4);
      expect(rig.readConfig(0x10, 4)).toBe(0xfffc_000c);
      rig.write(0x1_8800, 5);
      expect(rig.read(0x1_8800)).toBe(0);
    });
  });
});
