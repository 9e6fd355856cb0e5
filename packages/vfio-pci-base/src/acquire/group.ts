import { join } from "node:path";
import type { VfmigError } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import { baseFault, KernelCalls, refusedWith } from "../kernel-calls.ts";
import { neighbours, type DeviceFacts, type GroupMember } from "../sysfs/device-facts.ts";
import type { SystemRoots } from "../sysfs/sysfs.ts";
import { CONTAINER, GROUP, TYPE1V2_IOMMU } from "../uapi/commands.ts";
import { sized, struct } from "../uapi/struct.ts";
import { describeHolders, holdersOf } from "./holders.ts";
import { openVfioFile } from "./open-file.ts";

/** `struct vfio_group_status`, and its flag. */
const STATUS = { FLAGS: 4, BYTES: 8, VIABLE: 1 } as const;

/** Descriptors of the way by container and group; whoever has them closes device, group, container. */
export interface GroupFds {
  readonly container: number;
  readonly group: number;
  readonly device: number;
}

/** The file of the device's group. */
export function groupPath({ group = "" }: DeviceFacts, { dev = "/dev" }: SystemRoots): string {
  return join(dev, "vfio", group);
}

/**
 * Opens a device by its group (`vfio.rst`, "VFIO Usage Example"). Nothing stays open where it fails.
 * @throws VfmigError `ERR_VFMIG_VFIO_BUSY`, `ERR_VFMIG_VFIO_GROUP_NOT_VIABLE`, `ERR_VFMIG_VFIO_TOKEN`,
 * `ERR_VFMIG_VFIO_PATH`, `ERR_VFMIG_VFIO_PERMISSION`, `ERR_VFMIG_VFIO_CALL`
 */
export function openByGroup(
  io: NativeIo,
  facts: DeviceFacts,
  roots: SystemRoots,
  vfToken: string | undefined,
): GroupFds {
  const { name } = facts.device;
  const calls = new KernelCalls(io, name);
  const open: number[] = [];
  const keep = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  try {
    const container = keep(openVfioFile(io, join(roots.dev ?? "/dev", "vfio/vfio"), name, roots));
    checkContainer(calls, container);
    const path = groupPath(facts, roots);
    const group = keep(openVfioFile(io, path, name, roots, sharedGroup(facts)));
    checkViable(calls, group, facts);
    attach(calls, container, group);
    const device = keep(getDevice(calls, group, facts, roots, vfToken));
    return { container, group, device };
  } catch (error) {
    for (const fd of open.toReversed()) io.close(fd);
    throw error;
  }
}

function checkContainer(calls: KernelCalls, container: number): void {
  const version = calls.call(container, CONTAINER.GET_API_VERSION);
  const type1 = calls.call(container, CONTAINER.CHECK_EXTENSION, TYPE1V2_IOMMU);
  if (version === 0 && type1 > 0) return;
  throw baseFault(
    "ERR_VFMIG_VFIO_PATH",
    `This kernel's container speaks VFIO API version ${version}${type1 > 0 ? "" : " and has no type1 v2 IOMMU"}: ${calls.device} cannot be mapped for DMA that way. Load vfio_iommu_type1.`,
    { device: calls.device, version, type1v2: type1 > 0 },
  );
}

function checkViable(calls: KernelCalls, group: number, facts: DeviceFacts): void {
  const status = sized(STATUS.BYTES);
  calls.call(group, GROUP.GET_STATUS, status.bytes);
  if ((status.view.getUint32(STATUS.FLAGS, true) & STATUS.VIABLE) !== 0) return;
  throw notViable(facts);
}

/** A driver of the host has another device of the group. */
export function notViable(facts: DeviceFacts, cause?: unknown): VfmigError {
  const { name: device } = facts.device;
  const list = listOf(neighbours(facts));
  return baseFault(
    "ERR_VFMIG_VFIO_GROUP_NOT_VIABLE",
    `IOMMU group ${facts.group} of ${device} is not viable: it also holds ${list === "" ? "devices that sysfs does not list" : list}, and a driver of the host uses one of them. Bind each to vfio-pci, or to no driver.`,
    { device, group: facts.group, members: facts.members },
    cause,
  );
}

function listOf(members: readonly GroupMember[]): string {
  return members.map(({ name, driver }) => `${name} (${driver ?? "no driver"})`).join(", ");
}

/** What to know of a device that is not alone in its group, after a space. */
export function sharedGroup(facts: DeviceFacts): string {
  const others = neighbours(facts);
  if (others.length === 0) return "";
  return ` Its IOMMU group ${facts.group} also holds ${listOf(others)}: of the devices of a group one can be open at a time, since each has an address space of its own.`;
}

function attach(calls: KernelCalls, container: number, group: number): void {
  const fd = struct(4);
  fd.view.setInt32(0, container, true);
  calls.call(group, GROUP.SET_CONTAINER, fd.bytes);
  try {
    calls.call(container, CONTAINER.SET_IOMMU, TYPE1V2_IOMMU);
  } catch (error) {
    if (refusedWith(error) !== "EPERM") throw error;
    throw baseFault(
      "ERR_VFMIG_VFIO_CALL",
      `The IOMMU cannot be set up for ${calls.device} (EPERM): this machine has no interrupt remapping, which keeps a device from forging interrupts. Switch it on in the firmware; vfio_iommu_type1's allow_unsafe_interrupts gives that protection up.`,
      { device: calls.device, errno: "EPERM" },
      error,
    );
  }
}

function getDevice(
  calls: KernelCalls,
  group: number,
  facts: DeviceFacts,
  roots: SystemRoots,
  vfToken: string | undefined,
): number {
  const { name } = facts.device;
  const text = vfToken === undefined ? name : `${name} vf_token=${vfToken}`;
  try {
    return calls.call(group, GROUP.GET_DEVICE_FD, new TextEncoder().encode(`${text}\0`));
  } catch (error) {
    const errno = refusedWith(error);
    if (errno === "EBUSY") {
      const holders = holdersOf([groupPath(facts, roots)], roots);
      throw baseFault(
        "ERR_VFMIG_VFIO_BUSY",
        `${name} is in use by ${describeHolders(holders)}. End that use first; one user at a time can have the device.`,
        { device: name, errno, holders },
        error,
      );
    }
    // The kernel says EACCES for a token that is wrong or missing, and EINVAL for one that nobody asked for.
    if (errno === "EACCES" || (errno === "EINVAL" && vfToken !== undefined)) {
      throw tokenFault(name, errno, vfToken !== undefined, error);
    }
    throw error;
  }
}

/** The refusal of a VF token, or of none; `more` is a sentence about the way to the device. */
export function tokenFault(
  name: string,
  errno: string,
  given: boolean,
  cause: unknown,
  more = "",
): unknown {
  return baseFault(
    "ERR_VFMIG_VFIO_TOKEN",
    `${name} was refused with ${errno}: ${
      given
        ? "the VF token is not that of its PF, or the PF has none"
        : "its PF belongs to a user who protects its VFs by a token, and none was given"
    }. Set the option vfToken to the UUID that the PF's owner chose, or leave it out where there is none.${more}`,
    { device: name, errno, tokenGiven: given },
    cause,
  );
}
