import { PCI_REGION } from "@vfmig/core";
import { equal, ok, read16, refuses } from "./checks.ts";
import type { ConformanceCase } from "./subject.ts";

export const lifecycleCases: readonly ConformanceCase[] = [
  {
    id: "life.busy",
    title: "A device has one user at a time; the second is told who is in the way",
    async run({ open, acquire }) {
      await using _device = await open();
      const error = await refuses("ERR_VFMIG_VFIO_BUSY", acquire);
      ok(error.message.includes("in use"));
    },
  },
  {
    id: "life.grant",
    title: "The privileged half gives away descriptors and plain facts, and keeps nothing",
    async run({ acquire, io }) {
      for (let times = 0; times < 2; times += 1) {
        // oxlint-disable-next-line no-await-in-loop -- the second needs the first to be over
        const { fds, facts } = await acquire();
        equal(JSON.stringify(JSON.parse(JSON.stringify(facts))), JSON.stringify(facts));
        const { device, ...others } = fds;
        for (const fd of [device ?? -1, ...Object.values(others)]) io.close(fd);
      }
    },
  },
  {
    id: "life.closed",
    title: "A closed device refuses every call, and closing it again does nothing",
    async run({ open }) {
      const device = await open();
      await device[Symbol.asyncDispose]();
      await device[Symbol.asyncDispose]();
      const bytes = new Uint8Array(4);
      await refuses("ERR_VFMIG_DEVICE_CLOSED", () =>
        device.readRegion(PCI_REGION.CONFIG, 0, bytes),
      );
      await refuses("ERR_VFMIG_DEVICE_CLOSED", () => device.reset());
    },
  },
  {
    id: "life.reset",
    title: "A reset leaves the device usable, with its identity, time after time",
    requires: ({ info }) => (info.resettable ? undefined : "it cannot be reset"),
    async run({ open }) {
      await using device = await open();
      const vendor = read16(device, PCI_REGION.CONFIG, 0);
      for (let times = 0; times < 3; times += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await device.reset();
        equal(read16(device, PCI_REGION.CONFIG, 0), vendor);
      }
      await Promise.all([device.reset(), device.reset()]);
      equal(device.migration?.state ?? "running", "running");
    },
  },
  {
    id: "life.hot-reset-info",
    title: "The devices that a reset of the bus reaches are told, this one among them",
    requires(device) {
      try {
        device.hotResetInfo();
        return undefined;
      } catch {
        return "its bus cannot be reset";
      }
    },
    async run({ open }) {
      await using device = await open();
      const { devices } = device.hotResetInfo();
      ok(devices.length > 0);
      for (const { address } of devices)
        ok(/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(address));
    },
  },
  {
    id: "life.low-power",
    title: "A device that is let to sleep answers when it is accessed",
    requires: ({ lowPower }) => (lowPower === undefined ? "its kernel keeps it awake" : undefined),
    async run({ open, io }) {
      await using device = await open();
      const vendor = read16(device, PCI_REGION.CONFIG, 0);
      device.lowPower?.enter();
      equal(read16(device, PCI_REGION.CONFIG, 0), vendor);
      device.lowPower?.exit();
      const fd = io.eventfd();
      try {
        device.lowPower?.enter({ fd, signal() {} });
        device.lowPower?.exit();
      } finally {
        io.close(fd);
      }
    },
  },
  {
    id: "life.base-migrates-nothing",
    title: "Plain vfio-pci claims neither migration nor a log of its own",
    requires: ({ info }) =>
      info.identity.base.name === "vfio-pci" ? undefined : "a variant driver has it",
    async run({ open }) {
      await using device = await open();
      equal(device.migration, undefined);
      equal(device.dmaLogging, undefined);
    },
  },
];
