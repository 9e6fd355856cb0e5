import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeMachine, type DeviceSettings } from "../testing/fake-kernel/machine.ts";
import { openOn, subjectOn, UUID, VF, type RigOptions } from "../testing/rig.ts";
import { CONFORMANCE } from "./index.ts";

interface Bed {
  readonly name: string;
  readonly machine: ConstructorParameters<typeof FakeMachine>[0];
  readonly device: DeviceSettings;
  readonly options: RigOptions;
}

const everything: DeviceSettings = {
  address: VF,
  group: 7,
  driver: "mlx5_vfio_pci",
  variant: { p2p: true, preCopy: true },
  logsWrites: true,
  lowPower: true,
  bus: [{ group: 7, devfn: 0x80, owned: true }],
};

const beds: readonly Bed[] = [
  { name: "a VF by its group", machine: {}, device: { address: VF, group: 7 }, options: {} },
  {
    name: "a VF by iommufd",
    machine: { iommufd: true, dirtyTracking: true },
    device: { address: VF, group: 7, lowPower: true },
    options: {},
  },
  { name: "a variant driver's device by its group", machine: {}, device: everything, options: {} },
  {
    name: "a variant driver's device by iommufd",
    machine: { iommufd: true },
    device: everything,
    options: {},
  },
  {
    name: "a mediated device",
    machine: {},
    device: {
      address: UUID,
      group: 9,
      driver: "mtty",
      variant: { p2p: true, preCopy: true, mtty: true },
    },
    options: { uuid: UUID },
  },
];

describe.each(beds)("$name", ({ machine: settings, device, options }) => {
  let machine: FakeMachine;

  beforeEach(() => {
    machine = new FakeMachine(settings);
    machine.add(device);
  });

  afterEach(() => machine[Symbol.dispose]());

  test.each(CONFORMANCE)("$id: $title", async (each) => {
    const subject = subjectOn(machine, options);
    if (each.requires !== undefined) {
      await using opened = await openOn(machine, options);
      if (each.requires(opened) !== undefined) return;
    }
    await each.run(subject);
    expect(machine.openFds).toBe(0);
  });
});
