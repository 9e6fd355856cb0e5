import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger, systemClock } from "@vfmig/core";
import { afterEach, describe, expect, it } from "vitest";
import { createVfioPciBase } from "../base.ts";
import { refuses, sharedMemory } from "../conformance/checks.ts";
import {
  FakeMachine,
  type DeviceSettings,
  type MachineSettings,
} from "../testing/fake-kernel/machine.ts";
import { vfioPciOptions } from "../options.ts";
import { no } from "../testing/fake-kernel/errno.ts";
import { acquireOn, openOn, UUID, VF } from "../testing/rig.ts";

const machines: FakeMachine[] = [];

function machineWith(
  device: Partial<DeviceSettings> = {},
  settings: MachineSettings = {},
): FakeMachine {
  const machine = new FakeMachine(settings);
  machines.push(machine);
  machine.add({ address: VF, group: 7, ...device });
  return machine;
}

afterEach(() => {
  for (const machine of machines.splice(0)) {
    machine.assertClosed();
    machine[Symbol.dispose]();
  }
});

describe("a device that cannot be opened", () => {
  it("has no such address", async () => {
    const machine = machineWith();
    await refuses("ERR_VFMIG_VFIO_ADDRESS", () => openOn(machine, { address: "0000:09:00.0" }));
    await refuses("ERR_VFMIG_VFIO_ADDRESS", () => openOn(machine, { uuid: UUID }));
  });

  it("belongs to a driver of the host, or to none: then bind is the remedy", async () => {
    const machine = machineWith({ driver: "igbvf" });
    const error = await refuses("ERR_VFMIG_VFIO_NOT_BOUND", () => openOn(machine));
    expect(error.message).toContain(`vfmig bind ${VF}`);
    const bare = machineWith({ driver: undefined });
    await refuses("ERR_VFMIG_VFIO_NOT_BOUND", () => openOn(bare));
  });

  it("has no IOMMU group", async () => {
    const machine = machineWith({ group: undefined });
    const error = await refuses("ERR_VFMIG_VFIO_NO_IOMMU_GROUP", () => openOn(machine));
    expect(error.message).toContain("intel_iommu=on");
  });

  it("shares its group with a device of the host, which is named", async () => {
    const machine = machineWith();
    machine.add({ address: "0000:01:10.2", group: 7, driver: "igbvf" });
    const group = machine.groups.get(7);
    if (group !== undefined) group.viable = false;
    const error = await refuses("ERR_VFMIG_VFIO_GROUP_NOT_VIABLE", () => openOn(machine));
    expect(error.message).toContain("0000:01:10.2 (igbvf)");
  });

  it("shares its group with a device of the host, by its own file too", async () => {
    const machine = machineWith({}, { iommufd: true });
    machine.add({ address: "0000:01:10.2", group: 7, driver: "igbvf" });
    const fn = machine.groups.get(7)?.functions[0];
    if (fn !== undefined) fn.groupTaken = true;
    const error = await refuses("ERR_VFMIG_VFIO_GROUP_NOT_VIABLE", () =>
      openOn(machine, { path: "iommufd" }),
    );
    expect(error.message).toContain("0000:01:10.2 (igbvf)");
  });

  it("shares its group with one that is open, by its group or its own file", async () => {
    const second = "0000:01:10.2";
    const legacy = machineWith();
    legacy.add({ address: second, group: 7 });
    await using _first = await openOn(legacy, { address: second });
    const byGroup = await refuses("ERR_VFMIG_VFIO_BUSY", () => openOn(legacy));
    const modern = machineWith({}, { iommufd: true });
    modern.add({ address: second, group: 7 });
    const fn = modern.groups.get(7)?.functions[0];
    if (fn !== undefined) fn.groupTaken = true;
    const byFile = await refuses("ERR_VFMIG_VFIO_BUSY", () => openOn(modern, { path: "iommufd" }));
    for (const { message } of [byGroup, byFile]) {
      expect(message).toContain("IOMMU group 7 also holds 0000:01:10.2 (vfio-pci)");
      expect(message).toContain("one can be open at a time");
    }
  });

  it.each([
    ["group", {}],
    ["iommufd", { iommufd: true }],
  ] as const)("is in use, by its %s: the process is named", async (_path, settings) => {
    const machine = machineWith({}, settings);
    await using _first = await openOn(machine);
    const file = settings === undefined || !("iommufd" in settings) ? "7" : "devices/vfio0";
    const fds = join(machine.roots.proc, "4711/fd");
    mkdirSync(fds, { recursive: true });
    writeFileSync(join(machine.roots.proc, "4711/comm"), "qemu\n");
    symlinkSync(join(machine.roots.dev, "vfio", file), join(fds, "3"));
    const error = await refuses("ERR_VFMIG_VFIO_BUSY", () => acquireOn(machine));
    expect(error.message).toContain("process 4711 (qemu)");
  });

  it("is open by its group, so that its own file cannot have it, and the other way round", async () => {
    const machine = machineWith({}, { iommufd: true });
    {
      await using _first = await openOn(machine, { path: "group" });
      await refuses("ERR_VFMIG_VFIO_BUSY", () => openOn(machine, { path: "iommufd" }));
    }
    await using _second = await openOn(machine, { path: "iommufd" });
    await refuses("ERR_VFMIG_VFIO_BUSY", () => openOn(machine, { path: "group" }));
  });

  it("is forbidden to this user", async () => {
    const machine = machineWith();
    machine.io.addDevice(join(machine.roots.dev, "vfio/7"), () => no("EACCES"));
    const error = await refuses("ERR_VFMIG_VFIO_PERMISSION", () => openOn(machine));
    expect(error.message).toContain("dev/vfio/7");
  });

  it("is not offered the way that was asked for", async () => {
    const machine = machineWith();
    await refuses("ERR_VFMIG_VFIO_PATH", () => openOn(machine, { path: "iommufd" }));
    const other = machineWith({}, { iommufd: true });
    other.io.removeDevice(join(other.roots.dev, "iommu"));
    await refuses("ERR_VFMIG_VFIO_PATH", () => openOn(other, { path: "iommufd" }));
    const bare = machineWith();
    bare.io.removeDevice(join(bare.roots.dev, "vfio/vfio"));
    await refuses("ERR_VFMIG_VFIO_PATH", () => openOn(bare));
  });

  it("stands on a machine without interrupt remapping", async () => {
    const machine = machineWith({}, { interruptRemapping: false });
    const error = await refuses("ERR_VFMIG_VFIO_CALL", () => openOn(machine), "EPERM");
    expect(error.message).toContain("interrupt remapping");
  });

  it.each([
    ["group", {}],
    ["iommufd", { iommufd: true }],
  ] as const)("is protected by a token, by its %s", async (path, settings) => {
    const machine = machineWith({}, settings);
    const token = "14d63f20-8445-11ea-8900-1f9ce7d5650d";
    const fn = machine.groups.get(7)?.functions[0];
    if (fn !== undefined) fn.token = token;
    await refuses("ERR_VFMIG_VFIO_TOKEN", () => openOn(machine, { path }));
    await refuses("ERR_VFMIG_VFIO_TOKEN", () => openOn(machine, { path, vfToken: UUID }));
    await using device = await openOn(machine, { path, vfToken: token });
    expect(device.path).toBe(path);
    const free = machineWith({}, settings);
    const error = await refuses("ERR_VFMIG_VFIO_TOKEN", () =>
      openOn(free, { path, vfToken: token }),
    );
    expect(error.message.includes("Kernels before 6.17")).toBe(path === "iommufd");
  });

  it("is opened by iommufd where kernel and device have it, and by its group elsewhere", async () => {
    await using modern = await openOn(machineWith({}, { iommufd: true }));
    await using legacy = await openOn(machineWith());
    const half = machineWith({}, { iommufd: true });
    rmSync(join(half.roots.dev, "iommu"));
    await using without = await openOn(half);
    expect([modern.path, legacy.path, without.path]).toEqual(["iommufd", "group", "group"]);
  });
});

describe("a grant", () => {
  it("that is not whole is refused, and its descriptors are closed", async () => {
    const machine = machineWith();
    const base = createVfioPciBase({ io: machine.io, ...machine.roots });
    const context = {
      device: "vf0",
      options: vfioPciOptions.parse({ address: VF }),
      logger: silentLogger,
      clock: systemClock,
      folder: ".",
      runtimeFolder: ".",
    };
    const whole = await base.acquire(context);
    const { container: _container, ...missing } = whole.fds;
    for (const grant of [
      { fds: missing, facts: whole.facts },
      { fds: { x: whole.fds["container"] ?? -1 }, facts: { ...whole.facts, path: "other" } },
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await refuses("ERR_VFMIG_VFIO_GRANT", () => base.open({ ...context, grant }));
    }
  });

  it("asks for as much locked memory as a guest may have", async () => {
    const machine = machineWith();
    const { fds, memoryLock, facts } = await acquireOn(machine);
    expect(memoryLock).toBe(2n ** 64n - 1n);
    expect(facts).toEqual({
      name: VF,
      driver: "vfio-pci",
      path: "group",
      group: 7,
      pci: {
        vendor: 0x8086,
        device: 0x10ca,
        subsystemVendor: 0x8086,
        subsystemDevice: 0x10ca,
        revision: 1,
      },
    });
    for (const fd of Object.values(fds)) machine.io.close(fd);
  });
});

describe("memory", () => {
  it("beyond the limit of locked memory is refused with what to do, and below it is not", async () => {
    const machine = machineWith({}, { memoryLock: { soft: 8192n, hard: 8192n } });
    using memory = sharedMemory(machine.io, 16_384);
    await using device = await openOn(machine);
    const mapping = { iova: 0n, size: 16_384n, read: true, write: true, memory };
    const error = await refuses("ERR_VFMIG_VFIO_MEMLOCK", () => device.mapDma(mapping));
    expect(error.message).toContain("may lock 8192 bytes");
    const part = memory.part(0, 8192);
    await device.mapDma({ ...mapping, size: 8192n, memory: part });
    expect(() => device.mapDma(mapping)).toThrow("overlaps");
  });

  it("is pinned beyond the first limit, which is raised as far as it may be", async () => {
    const machine = machineWith({}, { memoryLock: { soft: 4096n, hard: 2n ** 64n - 1n } });
    using memory = sharedMemory(machine.io, 16_384);
    await using device = await openOn(machine);
    await device.mapDma({ iova: 0n, size: 16_384n, read: true, write: true, memory });
  });
});
