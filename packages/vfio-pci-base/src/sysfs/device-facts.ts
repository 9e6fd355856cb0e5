import { join } from "node:path";
import type { PciIdentity } from "@vfmig/core";
import { baseFault } from "../kernel-calls.ts";
import { parseDeviceName, type DeviceName } from "./device-name.ts";
import { attribute, exists, linkName, names, numberAttribute, type SystemRoots } from "./sysfs.ts";

/** A device of an IOMMU group and the driver that has it. */
export interface GroupMember {
  readonly name: string;
  readonly driver: string | undefined;
}

/** What sysfs says of one device. Identity comes from links, never from arithmetic on addresses. */
export interface DeviceFacts {
  readonly device: DeviceName;
  /** Its folder in sysfs. */
  readonly folder: string;
  /** Undefined where no driver has it. */
  readonly driver: string | undefined;
  /** Undefined where the device has no IOMMU. */
  readonly group: string | undefined;
  readonly members: readonly GroupMember[];
  /** Name below `/dev/vfio/devices`; undefined where the kernel offers no such file. */
  readonly cdev: string | undefined;
  /** True where the driver is one that gives the device to users. */
  readonly vfio: boolean;
  readonly pci: PciIdentity | undefined;
}

/**
 * @param name PCI address or UUID
 * @throws VfmigError `ERR_VFMIG_VFIO_ADDRESS`
 */
export function readDeviceFacts(name: string, roots: SystemRoots = {}): DeviceFacts {
  const device = parseDeviceName(name);
  const folder = deviceFolder(device, roots);
  if (!exists(folder)) {
    throw baseFault(
      "ERR_VFMIG_VFIO_ADDRESS",
      `This machine has no device ${device.name} (${folder} is not there). \`vfmig devices\` lists what it has; a VF appears once its PF's sriov_numvfs is set.`,
      { address: device.name, folder },
    );
  }
  const driver = linkName(join(folder, "driver"));
  const group = linkName(join(folder, "iommu_group"));
  const cdev = names(join(folder, "vfio-dev")).find((each) => /^vfio\d+$/.test(each));
  return {
    device,
    folder,
    driver,
    group,
    members: groupMembers(folder),
    cdev,
    vfio: cdev !== undefined || isVfioDriver(driver, exists(join(folder, "vfio-dev"))),
    pci: device.kind === "pci" ? readPciIdentity(folder) : undefined,
  };
}

/** Drivers that do no DMA of their own, so that a group stays viable with them. */
const HARMLESS = new Set(["pci-stub", "pcieport"]);

/** The others of a device's group. */
export function neighbours({ device, members }: DeviceFacts): readonly GroupMember[] {
  return members.filter(({ name }) => name !== device.name);
}

/** The others of a device's group that the host keeps for itself, so that nobody can use the group. */
export function blockers(
  facts: DeviceFacts,
): readonly { readonly name: string; readonly driver: string }[] {
  return neighbours(facts).flatMap(({ name, driver }) =>
    driver === undefined || HARMLESS.has(driver) || /vfio/.test(driver) ? [] : [{ name, driver }],
  );
}

export function deviceFolder(device: DeviceName, { sysfs = "/sys" }: SystemRoots): string {
  return join(sysfs, "bus", device.kind, "devices", device.name);
}

/** The devices of the group of the device in `folder`, with their drivers. */
export function groupMembers(folder: string): readonly GroupMember[] {
  const devices = join(folder, "iommu_group", "devices");
  return names(devices).map((name) => ({ name, driver: linkName(join(devices, name, "driver")) }));
}

/** Kernels before 6.1 do not mark VFIO's drivers by a folder: there they go by their names. */
function isVfioDriver(driver: string | undefined, marked: boolean): boolean {
  return marked || (driver !== undefined && /(?:^|[-_])vfio(?:[-_]|$)|^mtty$/.test(driver));
}

/** @returns undefined where a number is missing, as in a tree that is no PCI function's */
export function readPciIdentity(folder: string): PciIdentity | undefined {
  const vendor = numberAttribute(folder, "vendor");
  const device = numberAttribute(folder, "device");
  if (vendor === undefined || device === undefined) return undefined;
  return {
    vendor,
    device,
    subsystemVendor: numberAttribute(folder, "subsystem_vendor") ?? 0,
    subsystemDevice: numberAttribute(folder, "subsystem_device") ?? 0,
    revision: numberAttribute(folder, "revision") ?? 0,
  };
}

/** The driver that an administrator chose for the device; undefined where the kernel chooses. */
export function driverOverride(folder: string): string | undefined {
  const text = attribute(folder, "driver_override");
  return text === undefined || text === "" || text === "(null)" ? undefined : text;
}
