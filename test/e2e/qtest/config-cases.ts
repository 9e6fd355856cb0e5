import assert from "node:assert/strict";
import { VF_REGISTER } from "@vfmig/iavf";
import { rigOf, type QtestCase } from "./case.ts";
import { COMMAND, PCI } from "./pci-function.ts";

/** q35: register and value that open the window of the extended configuration space. */
const ECAM = { register: 0x60, base: 0xb000_0000 } as const;
/** What qtest reads where nothing is. */
const UNPLACED = 0;

/** Negotiation, configuration space and BARs. */
export const CONFIG_CASES: readonly QtestCase[] = [
  {
    name: "QEMU negotiates, realizes the device and shows what it is",
    async run(context) {
      await using rig = await rigOf(context);
      const { vendor, device } = context.model.pci;
      const text = JSON.stringify(await rig.machine.qmp.ask("query-pci"));
      assert.ok(text.includes(`"qdev_id":"${context.a.name}"`), text);
      assert.equal(await rig.driver.pci.read(PCI.ID), ((device << 16) | vendor) >>> 0);
      assert.equal((await rig.driver.pci.read(PCI.CLASS)) >>> 8, 0x02_0000);
      assert.equal(await rig.driver.pci.read(PCI.SUBSYSTEM, 2), vendor);
    },
  },
  {
    name: "the capability chain holds MSI-X and PCI Express, each once",
    async run(context) {
      await using rig = await rigOf(context);
      const ids = [...(await rig.driver.pci.capabilities()).values()];
      assert.deepEqual(
        ids.toSorted((x, y) => x - y),
        [0x10, 0x11],
      );
    },
  },
  {
    name: "the extended configuration space is reached through the memory window",
    async run(context) {
      await using rig = await rigOf(context);
      const { qtest, driver } = rig;
      await qtest.out(0xcf8, 0x8000_0000 + ECAM.register, 4);
      await qtest.out(0xcfc, ECAM.base + 1, 4);
      const config = ECAM.base + (driver.pci.slot << 15);
      assert.equal(await qtest.load32(config), await driver.pci.read(PCI.ID));
      assert.equal((await qtest.load32(config + 0x100)) & 0xffff, 0x0001, "AER comes first");
      assert.equal(await qtest.load32(config + 0xffc), 0);
    },
  },
  {
    name: "both BARs have their sizes and are 64 bits wide",
    async run(context) {
      await using rig = await rigOf(context);
      const { bar0, bar3 } = context.model.pci;
      const wide = 0xc;
      assert.deepEqual(await rig.driver.pci.barSize(PCI.BAR0), { size: BigInt(bar0), flags: wide });
      assert.deepEqual(await rig.driver.pci.barSize(PCI.BAR3), { size: BigInt(bar3), flags: wide });
    },
  },
  {
    name: "registers are where BAR0 is placed, also above 4 GiB and after a move",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver, qtest } = rig;
      await driver.enable();
      await driver.waitUntilActive();
      const high = 0x80_0000_0000;
      await driver.pci.place(PCI.BAR0, high);
      assert.equal((await qtest.load32(high + VF_REGISTER.VFGEN_RSTAT)) & 3, 2);
      assert.equal(await driver.read(VF_REGISTER.VFGEN_RSTAT), UNPLACED, "nothing is left behind");
    },
  },
  {
    name: "memory decoding is off until the command register turns it on",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver } = rig;
      await driver.enable(0);
      assert.equal(await driver.read(VF_REGISTER.VFGEN_RSTAT), UNPLACED);
      await driver.pci.command(COMMAND.MEMORY);
      await driver.waitUntilActive();
      assert.equal(await driver.pci.read(PCI.COMMAND, 2), COMMAND.MEMORY);
    },
  },
  {
    name: "loads and stores of every width and place in the BARs leave QEMU and device alive",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver, qtest } = rig;
      await driver.enable();
      for (const size of [1, 2, 4, 8] as const) {
        for (const at of [0, 0x6c00, 0x6c01, 0x6c03, 0xfff8, 0x1_0000 - size]) {
          await qtest.load(driver.bar0 + at, size);
          await qtest.store(driver.bar0 + at, 0x0102, size);
        }
        await qtest.load(driver.bar3 + 0x2000, size);
        await qtest.store(driver.bar3 + context.model.pci.bar3 - size, 1, size);
      }
      await driver.waitUntilActive();
    },
  },
  {
    name: "MSI-X tells its vectors, and where table and pending bits are",
    async run(context) {
      await using rig = await rigOf(context);
      const { pci } = rig.driver;
      const at = await pci.msixOffset();
      assert.equal((await pci.read(at + 2, 2)) & 0x7ff, context.model.pci.vectors - 1);
      assert.equal(await pci.read(at + 4), 0x3);
      assert.equal(await pci.read(at + 8), 0x2003);
    },
  },
];
