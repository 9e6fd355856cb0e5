import { PCI_REGION } from "@vfmig/core";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import { deepEqual, equal, ok, read16, refuses } from "./checks.ts";
import type { ConformanceCase } from "./subject.ts";

function firstBar(device: VfioPciDevice): number | undefined {
  return device.info.regions.find(({ index, size }) => index < PCI_REGION.ROM && size > 0)?.index;
}

export const regionCases: readonly ConformanceCase[] = [
  {
    id: "info.identity",
    title: "A device says who drives it, and its config space agrees with its identity",
    async run({ open }) {
      await using device = await open();
      const { identity, regions, irqs } = device.info;
      ok(identity.base.name.length > 0);
      equal(identity.driver, undefined);
      ok(regions.length >= 9 && irqs.length >= 5);
      regions.forEach(({ index }, i) => equal(index, i));
      irqs.forEach(({ index }, i) => equal(index, i));
      const { pci } = identity;
      if (pci === undefined) return;
      equal(read16(device, PCI_REGION.CONFIG, 0), pci.vendor);
      equal(read16(device, PCI_REGION.CONFIG, 2), pci.device);
    },
  },
  {
    id: "regions.widths",
    title: "Config space reads the same in one go and byte by byte",
    async run({ open }) {
      await using device = await open();
      const whole = new Uint8Array(64);
      device.readRegion(PCI_REGION.CONFIG, 0, whole);
      const single = new Uint8Array(1);
      for (let at = 0; at < whole.length; at += 1) {
        device.readRegion(PCI_REGION.CONFIG, at, single);
        equal(single[0], whole[at], `byte ${at}`);
      }
    },
  },
  {
    id: "regions.range",
    title: "Accesses outside of a region, and to regions that are not there, are refused",
    async run({ open }) {
      await using device = await open();
      const bytes = new Uint8Array(4);
      const { regions } = device.info;
      const size = regions[PCI_REGION.CONFIG]?.size ?? 0;
      const { CONFIG } = PCI_REGION;
      await refuses("ERR_VFMIG_REGION_RANGE", () => device.readRegion(CONFIG, size - 2, bytes));
      await refuses("ERR_VFMIG_REGION_RANGE", () => device.writeRegion(CONFIG, -4, bytes));
      await refuses("ERR_VFMIG_REGION_INDEX", () => device.readRegion(regions.length, 0, bytes));
      const absent = regions.find((each) => each.size === 0);
      if (absent === undefined) return;
      await refuses("ERR_VFMIG_REGION_RANGE", () => device.readRegion(absent.index, 0, bytes));
    },
  },
  {
    id: "regions.mmap",
    title: "What a mapped area shows is what a read of it gives",
    requires: (device) => (firstBar(device) === undefined ? "it has no BAR" : undefined),
    async run({ open, io }) {
      await using device = await open({ mmap: "direct" });
      for (const { index, size, mmap } of device.info.regions) {
        for (const area of mmap?.areas ?? []) {
          ok(area.offset % 4096 === 0 && area.size % 4096 === 0 && area.offset + area.size <= size);
          const offset = (mmap?.fdOffset ?? 0n) + BigInt(area.offset);
          using mapping = io.mmap(mmap?.fd ?? -1, area.size, { offset });
          const read = new Uint8Array(4);
          device.readRegion(index, area.offset, read);
          // One access of the register's width, as a device wants it.
          const mapped = new Uint32Array(mapping.bytes.buffer, mapping.bytes.byteOffset, 1);
          equal(mapped[0], new DataView(read.buffer).getUint32(0, true));
        }
      }
    },
  },
  {
    id: "regions.mmap-opt-in",
    title: "No region can be mapped by others unless the options say so",
    async run({ open }) {
      await using device = await open();
      deepEqual(
        device.info.regions.filter(({ mmap }) => mmap !== undefined),
        [],
      );
    },
  },
  {
    id: "regions.bus-master",
    title: "Bus mastering is off at first, can be switched, and is off after a reset",
    requires: (device) =>
      device.info.identity.pci === undefined ? "it is no PCI function" : undefined,
    async run({ open }) {
      await using device = await open();
      const master = (): boolean => (read16(device, PCI_REGION.CONFIG, 4) & 4) !== 0;
      equal(master(), false);
      device.setBusMaster(true);
      equal(master(), true);
      if (device.info.resettable) {
        await device.reset();
        equal(master(), false);
      } else device.setBusMaster(false);
    },
  },
];
