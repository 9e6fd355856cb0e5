import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ERRNO } from "@vfmig/linux";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { refuses } from "../conformance/checks.ts";
import { linkName } from "../sysfs/sysfs.ts";
import { FakeMachine } from "../testing/fake-kernel/machine.ts";
import { openOn, UUID, VF } from "../testing/rig.ts";
import { bindDevice, unbindDevice, type BindOptions } from "./bind.ts";
import { listDevices } from "./list-devices.ts";

describe("binding", () => {
  let machine: FakeMachine;
  let options: BindOptions;
  let written: string[];
  /** Drivers that refuse the device. */
  let refusing: Set<string>;

  const folderOf = (address: string): string =>
    join(machine.roots.sysfs, "bus/pci/devices", address);
  const driverOf = (address: string): string | undefined =>
    linkName(join(folderOf(address), "driver"));

  /** What the kernel does when its attributes are written. */
  function kernel(path: string, text: string): void {
    const name = path.slice(machine.roots.sysfs.length);
    written.push(`${name} ${JSON.stringify(text)}`);
    if (name.endsWith("/driver_override")) {
      writeFileSync(path, text.trim() === "" ? "(null)\n" : text);
    } else if (name.endsWith("/driver/unbind")) {
      unlinkSync(dirname(path));
    } else if (name.endsWith("/drivers_probe")) {
      const override = readFileSync(join(folderOf(text), "driver_override"), "utf8").trim();
      const driver = override === "(null)" ? "igbvf" : override;
      if (!refusing.has(driver)) {
        symlinkSync(
          join(machine.roots.sysfs, "bus/pci/drivers", driver),
          join(folderOf(text), "driver"),
        );
      }
    } else throw new Error(`no attribute ${name}`);
  }

  beforeEach(() => {
    machine = new FakeMachine();
    written = [];
    refusing = new Set();
    machine.add({ address: VF, group: 7, driver: "igbvf" });
    mkdirSync(join(machine.roots.sysfs, "bus/pci/drivers/vfio-pci"), { recursive: true });
    const records = join(machine.root, "run/bind");
    options = { ...machine.roots, io: machine.io, records, write: kernel };
  });

  afterEach(() => machine[Symbol.dispose]());

  it("gives a function to vfio-pci by its override, and back to what had it", () => {
    expect(bindDevice(VF, options)).toEqual({
      address: VF,
      before: "igbvf",
      after: "vfio-pci",
      changed: true,
      blockedBy: [],
    });
    expect(driverOf(VF)).toBe("vfio-pci");
    expect(written.map((line) => line.replace(/^.*\//, ""))).toEqual([
      'driver_override "vfio-pci"',
      `unbind "${VF}"`,
      `drivers_probe "${VF}"`,
    ]);
    expect(bindDevice(VF, options)).toMatchObject({ changed: false, after: "vfio-pci" });
    expect(unbindDevice(VF, options)).toMatchObject({ before: "vfio-pci", after: "igbvf" });
    expect(driverOf(VF)).toBe("igbvf");
    expect(readFileSync(join(folderOf(VF), "driver_override"), "utf8")).toBe("(null)\n");
    expect(existsSync(join(machine.root, "run/bind", `${VF}.json`))).toBe(false);
    expect(unbindDevice(VF, options)).toMatchObject({ changed: false, after: "igbvf" });
  });

  it("restores the override that was there, and leaves without driver what had none", () => {
    unlinkSync(join(folderOf(VF), "driver"));
    writeFileSync(join(folderOf(VF), "driver_override"), "pci-stub\n");
    expect(bindDevice(VF, options)).toMatchObject({ before: null, after: "vfio-pci" });
    expect(unbindDevice(VF, options)).toMatchObject({ before: "vfio-pci", after: null });
    expect(readFileSync(join(folderOf(VF), "driver_override"), "utf8").trim()).toBe("pci-stub");
    expect(driverOf(VF)).toBeUndefined();
  });

  it("puts everything back where the new driver refuses", async () => {
    refusing.add("vfio-pci");
    await refuses("ERR_VFMIG_VFIO_BIND", () => bindDevice(VF, options));
    expect(driverOf(VF)).toBe("igbvf");
    expect(readFileSync(join(folderOf(VF), "driver_override"), "utf8")).toBe("(null)\n");
    expect(existsSync(join(machine.root, "run/bind", `${VF}.json`))).toBe(false);
  });

  it("names the driver to load, and touches nothing, where it is not there", async () => {
    rmSync(join(machine.roots.sysfs, "bus/pci/drivers/vfio-pci"), { recursive: true });
    const error = await refuses("ERR_VFMIG_VFIO_BIND", () => bindDevice(VF, options));
    expect(error.message).toContain("modprobe vfio-pci");
    expect(driverOf(VF)).toBe("igbvf");
  });

  it("says that the original driver did not take the device back, and keeps the record", async () => {
    bindDevice(VF, options);
    refusing.add("igbvf");
    await refuses("ERR_VFMIG_VFIO_BIND", () => unbindDevice(VF, options));
    refusing.clear();
    expect(unbindDevice(VF, options)).toMatchObject({ after: "igbvf" });
  });

  it("names the members of the group that still belong to the host", () => {
    machine.add({ address: "0000:01:10.2", group: 7, driver: "igbvf" });
    machine.add({ address: "0000:00:01.0", group: 7, driver: "pcieport" });
    expect(bindDevice(VF, options).blockedBy).toEqual([{ name: "0000:01:10.2", driver: "igbvf" }]);
  });

  it("refuses to unbind a device that is open, since the kernel would wait for its user", async () => {
    bindDevice(VF, options);
    const device = await openOn(machine);
    await refuses("ERR_VFMIG_VFIO_BUSY", () => unbindDevice(VF, options));
    await device[Symbol.asyncDispose]();
    expect(unbindDevice(VF, options)).toMatchObject({ after: "igbvf" });
  });

  it("names the process that has it open", async () => {
    bindDevice(VF, options);
    const fds = join(machine.roots.proc, "71/fd");
    mkdirSync(fds, { recursive: true });
    writeFileSync(join(machine.roots.proc, "71/comm"), "qemu-system-x86\n");
    symlinkSync(join(machine.roots.dev, "vfio/7"), join(fds, "12"));
    const error = await refuses("ERR_VFMIG_VFIO_BUSY", () => unbindDevice(VF, options));
    expect(error.message).toContain("process 71 (qemu-system-x86)");
  });

  it("refuses a device without IOMMU, a mediated one, and an address that is none", async () => {
    machine.add({ address: "0000:02:00.0", driver: "e1000e" });
    machine.add({ address: UUID, group: 9, driver: "mtty" });
    await refuses("ERR_VFMIG_VFIO_NO_IOMMU_GROUP", () => bindDevice("02:00.0", options));
    await refuses("ERR_VFMIG_VFIO_ADDRESS", () => bindDevice(UUID, options));
    for (const none of ["0000:03:00.0", "eth0", "0000:01:20.0", "0000:01:10.8", "../x"]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await refuses("ERR_VFMIG_VFIO_ADDRESS", () => bindDevice(none, options));
    }
  });

  it("says that binding needs root where sysfs cannot be written", async () => {
    const write = (): never => {
      throw Object.assign(new Error("no"), { code: "EACCES", errno: -(ERRNO["EACCES"] ?? 13) });
    };
    const error = await refuses("ERR_VFMIG_VFIO_BIND", () => bindDevice(VF, { ...options, write }));
    expect(error.message).toContain("needs root");
  });
});

describe("the list of devices", () => {
  it("shows groups, drivers, PF and VFs, and the ways to open each", () => {
    using machine = new FakeMachine({ iommufd: true });
    const pf = "0000:01:00.0";
    machine.add({ address: pf, group: 6, driver: "igb", device: 0x10c9 });
    machine.add({ address: VF, group: 7 });
    machine.add({ address: "0000:01:10.2", group: 7, driver: "igbvf" });
    machine.add({ address: "0000:02:00.0", driver: undefined });
    machine.add({ address: UUID, group: 9, driver: "mtty" });
    const folder = (address: string): string =>
      join(machine.roots.sysfs, "bus/pci/devices", address);
    rmSync(join(folder(pf), "vfio-dev"), { recursive: true });
    rmSync(join(folder("0000:01:10.2"), "vfio-dev"), { recursive: true });
    symlinkSync(folder(pf), join(folder(VF), "physfn"));
    symlinkSync(folder("0000:01:10.2"), join(folder(pf), "virtfn1"));
    symlinkSync(folder(VF), join(folder(pf), "virtfn0"));
    writeFileSync(join(folder(pf), "sriov_totalvfs"), "7\n");
    writeFileSync(join(folder(VF), "reset_method"), "flr bus\n");
    const listed = new Map(listDevices(machine.roots).map((each) => [each.address, each]));
    expect([...listed.keys()]).toEqual([pf, VF, "0000:01:10.2", "0000:02:00.0", UUID]);
    expect(listed.get(pf)).toMatchObject({
      driver: "igb",
      pci: { vendor: 0x8086, device: 0x10c9 },
      class: 0x02_00_00,
      sriov: { pf: null, vfs: [VF, "0000:01:10.2"], total: 7 },
      vfio: { bound: false, paths: [] },
    });
    expect(listed.get(VF)).toMatchObject({
      group: "7",
      groupMembers: [{ name: "0000:01:10.2", driver: "igbvf" }],
      sriov: { pf, vfs: [], total: 0 },
      vfio: { bound: true, paths: ["group", "iommufd"] },
      resetMethods: ["flr", "bus"],
    });
    expect(listed.get("0000:02:00.0")).toMatchObject({ driver: null, group: null });
    expect(listed.get(UUID)).toMatchObject({ kind: "mdev", pci: null, driver: "mtty" });
  });

  it("is empty where there is no sysfs", () => {
    expect(listDevices({ sysfs: "/nowhere" })).toEqual([]);
  });
});
