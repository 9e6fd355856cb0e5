import { PCI_REGION } from "@vfmig/core";
import { expect, it } from "vitest";
import { sharedMemory } from "../conformance/checks.ts";
import { FakeMachine, type MachineSettings } from "../testing/fake-kernel/machine.ts";
import { openOn, VF } from "../testing/rig.ts";

const OTHER = "0000:01:10.2";

it.each<[string, MachineSettings]>([
  ["groups", {}],
  ["iommufd", { iommufd: true }],
])(
  "Two devices that are opened by their %s sleep, are reset, write and end each for itself",
  async (_, settings) => {
    using machine = new FakeMachine(settings);
    const parts = { lowPower: true };
    const [first, second] = [
      machine.add({ address: VF, group: 7, ...parts }),
      machine.add({ address: OTHER, group: 8, ...parts }),
    ];
    {
      await using other = await openOn(machine, { address: OTHER });
      const one = await openOn(machine);
      using memory = sharedMemory(machine.io, 4096);
      await one.mapDma({ iova: 0x1000n, size: 4096n, read: true, write: true, memory });
      for (const device of [one, other]) device.setBusMaster(true);
      expect([first.dma(0x1000n), second.dma(0x1000n)]).toEqual([true, false]);
      one.lowPower?.enter();
      expect([first.asleep, second.asleep]).toEqual([true, false]);
      one.lowPower?.exit();
      await one.reset();
      expect([first.resets > 0, first.busMaster, second.busMaster]).toEqual([true, false, true]);
      const resets = second.resets;
      one.writeRegion(PCI_REGION.BAR0, 0, Uint8Array.of(7));
      const bytes = new Uint8Array(1);
      other.readRegion(PCI_REGION.BAR0, 0, bytes);
      expect(bytes[0]).toBe(0);
      await one[Symbol.asyncDispose]();
      other.readRegion(PCI_REGION.BAR0, 0, bytes);
      expect([second.busMaster, second.resets]).toEqual([true, resets]);
    }
    machine.assertClosed();
  },
);
