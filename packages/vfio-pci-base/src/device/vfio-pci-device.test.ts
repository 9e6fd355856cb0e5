import { PCI_IRQ, PCI_REGION, silentLogger, systemClock, type Logger } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createVfioPciBase } from "../base.ts";
import { refuses, sharedMemory } from "../conformance/checks.ts";
import type { FakeFunction } from "../testing/fake-kernel/function.ts";
import {
  FakeMachine,
  type DeviceSettings,
  type MachineSettings,
} from "../testing/fake-kernel/machine.ts";
import { vfioPciOptions } from "../options.ts";
import { openOn, UUID, VF } from "../testing/rig.ts";

let machine: FakeMachine;
let fn: FakeFunction;

function use(device: Partial<DeviceSettings> = {}, settings: MachineSettings = {}): void {
  machine[Symbol.dispose]();
  machine = new FakeMachine(settings);
  fn = machine.add({ address: VF, group: 7, ...device });
}

beforeEach(() => {
  machine = new FakeMachine();
  fn = machine.add({ address: VF, group: 7 });
});

afterEach(() => {
  machine.assertClosed();
  machine[Symbol.dispose]();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the identity", () => {
  it("is the driver's that really has the device, and the ids of sysfs", async () => {
    use({ driver: "mlx5_vfio_pci", vendor: 0x15b3, device: 0x101e });
    await using device = await openOn(machine);
    expect(device.info.identity).toEqual({
      device: "vf0",
      base: { name: "mlx5_vfio_pci", version: "0.1.0" },
      pci: {
        vendor: 0x15b3,
        device: 0x101e,
        subsystemVendor: 0x15b3,
        subsystemDevice: 0x101e,
        revision: 1,
      },
    });
  });

  it("of a mediated device comes from its config space", async () => {
    use({ address: UUID, driver: "mtty", vendor: 0x4348, device: 0x3253 });
    await using device = await openOn(machine, { uuid: UUID });
    expect(device.info.identity).toMatchObject({
      base: { name: "mtty" },
      pci: { vendor: 0x4348, device: 0x3253 },
    });
  });
});

describe("regions", () => {
  it("are read and written whole, although the kernel moves eight bytes at a time", async () => {
    await using device = await openOn(machine);
    const bytes = Uint8Array.from({ length: 37 }, (_, i) => i + 1);
    device.writeRegion(PCI_REGION.BAR0, 3, bytes);
    const back = new Uint8Array(37);
    device.readRegion(PCI_REGION.BAR0, 3, back);
    expect(back).toEqual(bytes);
    expect([...(fn.settings.regions[0]?.memory.subarray(2, 5) ?? [])]).toEqual([0, 1, 2]);
    device.readRegion(PCI_REGION.ROM, 0, back);
    expect(back[36]).toBe(0x55);
    await refuses("ERR_VFMIG_REGION_ACCESS", () => device.writeRegion(PCI_REGION.ROM, 0, bytes));
  });

  it("read as ones and lose writes while memory is switched off, and say so once", async () => {
    use({ memoryEnable: true });
    const warnings: string[] = [];
    const logger: Logger = {
      debug() {},
      info() {},
      warn: (message) => void warnings.push(message),
      error() {},
    };
    await using device = await openOn(machine, { logger });
    const bytes = new Uint8Array(4);
    device.readRegion(PCI_REGION.BAR0, 0, bytes);
    device.writeRegion(PCI_REGION.BAR0, 0, Uint8Array.of(7));
    expect([...bytes]).toEqual([255, 255, 255, 255]);
    device.writeRegion(PCI_REGION.CONFIG, 4, Uint8Array.of(2));
    device.readRegion(PCI_REGION.BAR0, 0, bytes);
    expect([...bytes]).toEqual([0, 0, 0, 0]);
    expect([warnings.length, device.events.unanswered]).toEqual([1, 2]);
  });

  it("are mappable only where the options say so, without the pages of the MSI-X table", async () => {
    const memory = new Uint8Array(16_384);
    use({
      regions: [
        {
          memory,
          flags: 7,
          sparse: [
            { offset: 8192, size: 8192 },
            { offset: 0, size: 5000 },
          ],
        },
        { memory, flags: 7, msixMappable: true },
        { memory: new Uint8Array(256), flags: 7 },
        undefined,
        undefined,
        undefined,
        undefined,
        fn.settings.regions[7],
      ],
      msix: { region: 1, offset: 4096, vectors: 3 },
    });
    const config = fn.settings.regions[7]?.memory;
    new DataView(config?.buffer ?? new ArrayBuffer(0)).setUint32(0x74, 4096 | 1, true);
    await using device = await openOn(machine, { mmap: "direct" });
    const areas = device.info.regions.map(({ mmap }) => mmap?.areas ?? []);
    expect(areas.slice(0, 3)).toEqual([
      [
        { offset: 0, size: 4096 },
        { offset: 8192, size: 8192 },
      ],
      [
        { offset: 0, size: 4096 },
        { offset: 8192, size: 8192 },
      ],
      [],
    ]);
    expect(device.info.regions[1]?.mmap?.fdOffset).toBe(1n << 40n);
  });

  it("that a client has mapped do not keep the rest of the device from being closed", async () => {
    const device = await openOn(machine, { mmap: "direct" });
    const { fd = -1, fdOffset = 0n } = device.info.regions[0]?.mmap ?? {};
    const mapping = machine.io.mmap(fd, 4096, { offset: fdOffset });
    await device[Symbol.asyncDispose]();
    expect(machine.openFds).toBe(1);
    mapping[Symbol.dispose]();
  });

  it("are exported as a dma-buf where the kernel can", async () => {
    use({ exportsRegions: true });
    await using device = await openOn(machine);
    const fd = device.exportRegion(0, [{ offset: 0, size: 4096 }]);
    machine.io.close(fd);
    await refuses("ERR_VFMIG_REGION_RANGE", () => device.exportRegion(0, []));
    await refuses("ERR_VFMIG_REGION_RANGE", () =>
      device.exportRegion(0, [{ offset: 16_384, size: 1 }]),
    );
    use();
    await using older = await openOn(machine);
    await refuses("ERR_VFMIG_VFIO_UNSUPPORTED", () =>
      older.exportRegion(0, [{ offset: 0, size: 4096 }]),
    );
  });
});

describe("interrupts", () => {
  it("reach the VMM's eventfd from the kernel, without this process", async () => {
    await using device = await openOn(machine);
    const fd = machine.io.eventfd();
    const events = [undefined, { fd, signal: () => expect.unreachable("the kernel signals") }];
    const data = { kind: "event", events } as const;
    device.setIrqs({ index: PCI_IRQ.MSIX, start: 0, count: 2, action: "trigger", data });
    machine.io.close(fd);
    // The kernel holds the eventfd, whoever else closed it.
    expect([fn.interrupts.fire(2, 0), fn.interrupts.fire(2, 1)]).toEqual([false, true]);
  });

  it("of INTx are masked and unmasked in the kernel, also by an event", async () => {
    use({
      irqs: [
        { count: 1, flags: 7 },
        { count: 0, flags: 9 },
        { count: 0, flags: 1 },
      ],
    });
    await using device = await openOn(machine);
    const fd = machine.io.eventfd();
    const resample = machine.io.eventfd();
    const intx = { index: PCI_IRQ.INTX, start: 0, count: 1 };
    const data = { kind: "event", events: [{ fd, signal() {} }] } as const;
    const none = { kind: "none" } as const;
    device.setIrqs({ ...intx, action: "trigger", data });
    device.setIrqs({
      ...intx,
      action: "unmask",
      data: { kind: "event", events: [{ fd: resample, signal() {} }] },
    });
    fn.interrupts.fire(0);
    fn.interrupts.fire(0);
    expect([machine.io.drainEventfd(fd), fn.interrupts.masked]).toEqual([1, true]);
    device.setIrqs({ ...intx, action: "unmask", data: none });
    expect(machine.io.drainEventfd(fd)).toBe(1);
    device.setIrqs({ ...intx, action: "mask", data: { kind: "bool", values: Uint8Array.of(1) } });
    expect(fn.interrupts.masked).toBe(true);
    machine.io.close(fd);
    machine.io.close(resample);
  });

  it("of two kinds at once are refused, in the kernel's words and ours", async () => {
    use({
      irqs: [
        { count: 1, flags: 7 },
        { count: 1, flags: 9 },
        { count: 3, flags: 1 },
      ],
    });
    await using device = await openOn(machine);
    const fd = machine.io.eventfd();
    const data = { kind: "event", events: [{ fd, signal() {} }] } as const;
    device.setIrqs({ index: PCI_IRQ.MSI, start: 0, count: 1, action: "trigger", data });
    const error = await refuses("ERR_VFMIG_IRQ_REQUEST", () =>
      device.setIrqs({ index: PCI_IRQ.MSIX, start: 0, count: 1, action: "trigger", data }),
    );
    expect(error.message).toContain("another of INTx, MSI and MSI-X");
    machine.io.close(fd);
  });
});

describe("the host's events", () => {
  it("are heard here and by the VMM: the host wants the device back, the device failed", async () => {
    const heard: string[] = [];
    const listener = {
      onRequest: (count: number) => void heard.push(`request ${count}`),
      onError: (count: number) => void heard.push(`error ${count}`),
    };
    await using device = await openOn(machine, { listener });
    fn.interrupts.fire(PCI_IRQ.REQ);
    await turn();
    const events = [{ signal: () => void heard.push("vmm") }];
    const data = { kind: "event", events } as const;
    device.setIrqs({ index: PCI_IRQ.REQ, start: 0, count: 1, action: "trigger", data });
    fn.interrupts.fire(PCI_IRQ.REQ);
    fn.interrupts.fire(PCI_IRQ.ERR);
    await turn();
    expect(heard).toEqual(["request 1", "request 2", "vmm", "error 1"]);
    expect(device.events).toMatchObject({ requests: 2, errors: 1 });
  });

  it("are told to whoever opened the device, too, and to whoever made the base", async () => {
    const heard: string[] = [];
    const base = createVfioPciBase({
      io: machine.io,
      ...machine.roots,
      listener: { onRequest: (count) => void heard.push(`base ${count}`) },
    });
    await using _device = await base.open({
      device: "vf0",
      options: vfioPciOptions.parse({ address: VF }),
      logger: silentLogger,
      clock: systemClock,
      folder: ".",
      runtimeFolder: ".",
      onHostRequest: (count) => void heard.push(`opener ${count}`),
    });
    fn.interrupts.fire(PCI_IRQ.REQ);
    await turn();
    expect(heard).toEqual(["base 1", "opener 1"]);
  });

  it("end with the device, which is told apart from other faults once it is gone", async () => {
    await using device = await openOn(machine);
    fn.gone = true;
    const bytes = new Uint8Array(4);
    await refuses("ERR_VFMIG_VFIO_GONE", () => device.readRegion(PCI_REGION.BAR0, 0, bytes));
    await refuses("ERR_VFMIG_VFIO_GONE", () => device.reset());
    await device[Symbol.asyncDispose]();
    fn.gone = false;
    await using again = await openOn(machine);
    expect(again.path).toBe("group");
  });
});

describe("resets", () => {
  it("go on where the kernel's lock is held for a while, and say so where it stays held", async () => {
    await using device = await openOn(machine);
    fn.busyResets = 3;
    await device.reset();
    expect(fn.resets).toBe(1);
    fn.busyResets = 1000;
    await refuses("ERR_VFMIG_DEVICE_RESET", () => device.reset(), "EAGAIN");
  });

  it("stop the device's DMA before anything else", async () => {
    await using device = await openOn(machine);
    device.setBusMaster(true);
    expect(fn.busMaster).toBe(true);
    await device.reset();
    expect(fn.busMaster).toBe(false);
  });

  it.each([
    ["group", {}],
    ["iommufd", { iommufd: true }],
  ] as const)(
    "reach the bus where the function cannot be reset alone, by %s",
    async (path, settings) => {
      const bus = [
        { group: 7, devfn: 0x80, owned: true },
        { group: 7, devfn: 0x82, owned: true },
      ];
      use({ functionReset: false, bus }, settings);
      await using device = await openOn(machine, { path });
      expect(device.info.resettable).toBe(true);
      await device.reset();
      expect(fn.busResets).toBe(1);
      expect(device.hotResetInfo().devices.map(({ address }) => address)).toEqual([
        VF,
        "0000:01:10.2",
      ]);
    },
  );

  it.each([
    ["group", {}],
    ["iommufd", { iommufd: true }],
  ] as const)(
    "are refused where others would lose their devices, by %s",
    async (path, settings) => {
      const bus = [
        { group: 7, devfn: 0x80, owned: true },
        { group: 8, devfn: 0x81, owned: false },
      ];
      use({ functionReset: false, bus }, settings);
      await using device = await openOn(machine, { path });
      expect(device.info.resettable).toBe(false);
      const error = await refuses("ERR_VFMIG_DEVICE_RESET", () => device.hotReset());
      expect(error.message).toContain("0000:01:10.1");
    },
  );
});

describe("DMA", () => {
  it("reaches what is mapped for writing, and nothing once the device is closed", async () => {
    using memory = sharedMemory(machine.io, 8192);
    const device = await openOn(machine);
    device.setBusMaster(true);
    await device.mapDma({
      iova: 0x1000n,
      size: 4096n,
      read: true,
      write: true,
      memory: memory.part(0, 4096),
    });
    await device.mapDma({
      iova: 0x3000n,
      size: 4096n,
      read: true,
      write: false,
      memory: memory.part(4096, 4096),
    });
    expect([0x1000n, 0x2000n, 0x3000n].map((iova) => fn.dma(iova))).toEqual([true, false, false]);
    await device[Symbol.asyncDispose]();
    expect(fn.dma(0x1000n)).toBe(false);
    expect(fn.pages?.entries).toEqual([]);
    expect(fn.busMaster).toBe(false);
  });

  it("is taken away only after the mapping that is under way was made", async () => {
    const size = 32 * 1024 * 1024;
    using memory = sharedMemory(machine.io, size);
    await using device = await openOn(machine);
    const range = { iova: 0n, size: BigInt(size) };
    const mapped = device.mapDma({ ...range, read: true, write: true, memory });
    await Promise.all([mapped, device.unmapDma(range)]);
    expect(machine.trace.calls.slice(-2)).toEqual(["VFIO_IOMMU_MAP_DMA", "VFIO_IOMMU_UNMAP_DMA"]);
    expect(fn.pages?.entries).toEqual([]);
  });

  it("of memory that came with a file only is mapped here, for as long as it is needed", async () => {
    const fd = machine.io.memfd("guest", 8192);
    await using device = await openOn(machine);
    const before = machine.openFds;
    const memory = { bytes: new Uint8Array(4096), fd, fdOffset: 4096n };
    await device.mapDma({ iova: 0n, size: 4096n, read: true, write: true, memory });
    expect(machine.openFds).toBe(before + 1);
    await device.unmapDma({ iova: 0n, size: 4096n });
    expect(machine.openFds).toBe(before);
    const model = { bytes: new Uint8Array(4096) };
    await refuses("ERR_VFMIG_DMA_MAP", () =>
      device.mapDma({ iova: 0n, size: 4096n, read: true, write: true, memory: model }),
    );
    machine.io.close(fd);
  });

  it("has no window list on an old kernel: then the kernel itself refuses", async () => {
    use({}, { oldKernel: true });
    using memory = sharedMemory(machine.io, 4096);
    await using device = await openOn(machine);
    expect(device.info.iovaWindows).toEqual([{ first: 0n, last: 2n ** 64n - 1n }]);
    const error = await refuses("ERR_VFMIG_DMA_MAP", () =>
      device.mapDma({ iova: 0xfee0_0000n, size: 4096n, read: true, write: true, memory }),
    );
    expect(error.message).toContain("reserved");
  });
});

describe("power and tokens", () => {
  it("let the device sleep, and protect a PF's VFs", async () => {
    use({ lowPower: true });
    await using device = await openOn(machine);
    device.lowPower?.enter();
    expect(fn.asleep).toBe(true);
    device.lowPower?.exit();
    expect(fn.asleep).toBe(false);
    await refuses("ERR_VFMIG_IRQ_REQUEST", () => device.lowPower?.enter({ signal() {} }));
    device.setVfToken("14d63f20-8445-11ea-8900-1f9ce7d5650d");
    expect(fn.token).toBe("14d63f20-8445-11ea-8900-1f9ce7d5650d");
    await refuses("ERR_VFMIG_VFIO_TOKEN", () => device.setVfToken("secret"));
    fn.token = undefined;
  });
});

describe("a driver that describes nonsense", () => {
  it.each([
    ["too many regions", (file: DataView) => file.setUint32(8, 4096, true)],
    ["too many irq indexes", (file: DataView) => file.setUint32(12, 0xffff_ffff, true)],
  ])("with %s is refused, and nothing stays open", async (_what, spoil) => {
    const { io } = machine;
    const ioctl = io.ioctl.bind(io);
    const spoiling = Object.assign(Object.create(io) as typeof io, {
      ioctl(...all: Parameters<typeof ioctl>) {
        const result = ioctl(...all);
        const memory = all[2];
        if (all[1] === 0x3b6b && typeof memory === "object") spoil(new DataView(memory.buffer));
        return result;
      },
    });
    const spoiled = Object.create(machine, { io: { value: spoiling } }) as FakeMachine;
    await refuses("ERR_VFMIG_VFIO_ANSWER", () => openOn(spoiled));
  });

  it("in its errnos is passed on with request, device and errno", async () => {
    const { io } = machine;
    const group = machine.groups.get(7);
    group?.functions.splice(0);
    const error = await refuses("ERR_VFMIG_VFIO_GONE", () => openOn(machine));
    expect(error.details).toMatchObject({ device: VF, request: "VFIO_GROUP_GET_DEVICE_FD" });
    expect(io.openFds).toBe(0);
  });
});
