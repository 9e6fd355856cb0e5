import { join } from "node:path";
import type { NativeIo } from "@vfmig/linux";
import { baseFault, KernelCalls, refusedWith } from "../kernel-calls.ts";
import { blockers, type DeviceFacts } from "../sysfs/device-facts.ts";
import { uuidBytes } from "../sysfs/device-name.ts";
import type { SystemRoots } from "../sysfs/sysfs.ts";
import { DEVICE } from "../uapi/commands.ts";
import { BIND, BIND_TOKEN } from "../uapi/iommufd.ts";
import { sized } from "../uapi/struct.ts";
import { notViable, sharedGroup, tokenFault } from "./group.ts";
import { describeHolders, holdersOf } from "./holders.ts";
import { openVfioFile } from "./open-file.ts";

/** Descriptors of the way by iommufd; whoever has them closes device, then iommufd. */
export interface CdevFds {
  readonly iommufd: number;
  readonly device: number;
}

export interface BoundCdev {
  readonly fds: CdevFds;
  /** The device's id in the iommufd; 0 for a mediated device without IOMMU. */
  readonly deviceId: number;
}

/** The device's own file; undefined where the kernel has none. */
export function cdevPath({ cdev }: DeviceFacts, { dev = "/dev" }: SystemRoots): string | undefined {
  return cdev === undefined ? undefined : join(dev, "vfio/devices", cdev);
}

export function iommufdPath({ dev = "/dev" }: SystemRoots): string {
  return join(dev, "iommu");
}

/**
 * Opens a device by its own file and binds it to a new iommufd. Nothing stays open where it fails.
 * @throws VfmigError `ERR_VFMIG_VFIO_BUSY`, `ERR_VFMIG_VFIO_GROUP_NOT_VIABLE`, `ERR_VFMIG_VFIO_TOKEN`, `ERR_VFMIG_VFIO_PATH`,
 * `ERR_VFMIG_VFIO_PERMISSION`, `ERR_VFMIG_VFIO_CALL`
 */
export function openByCdev(
  io: NativeIo,
  facts: DeviceFacts,
  roots: SystemRoots,
  vfToken: string | undefined,
): BoundCdev {
  const { name } = facts.device;
  const path = cdevPath(facts, roots);
  if (path === undefined) {
    throw baseFault(
      "ERR_VFMIG_VFIO_PATH",
      `${name} has no file of its own (no vfio-dev in ${facts.folder}): this kernel is built without VFIO_DEVICE_CDEV. Set the option path to "auto" or "group".`,
      { device: name },
    );
  }
  const iommufd = openVfioFile(io, iommufdPath(roots), name, roots);
  let device: number | undefined;
  try {
    device = openVfioFile(io, path, name, roots);
    const deviceId = bind(io, facts, { iommufd, device }, path, roots, vfToken);
    return { fds: { iommufd, device }, deviceId };
  } catch (error) {
    if (device !== undefined) io.close(device);
    io.close(iommufd);
    throw error;
  }
}

function bind(
  io: NativeIo,
  facts: DeviceFacts,
  { iommufd, device }: CdevFds,
  path: string,
  roots: SystemRoots,
  vfToken: string | undefined,
): number {
  const calls = new KernelCalls(io, facts.device.name);
  // The longer form only where it is needed: kernels before 6.17 do not know the flag.
  const request = sized(vfToken === undefined ? BIND.BYTES : BIND.TOKEN_BYTES);
  request.view.setInt32(BIND.IOMMUFD, iommufd, true);
  if (vfToken !== undefined) request.view.setUint32(BIND.FLAGS, BIND_TOKEN, true);
  const token = vfToken === undefined ? [] : [{ at: BIND.TOKEN, memory: uuidBytes(vfToken) }];
  try {
    calls.call(device, DEVICE.BIND_IOMMUFD, request.bytes, token);
    return request.view.getUint32(BIND.DEVICE_ID, true);
  } catch (error) {
    const errno = refusedWith(error);
    const holders = holdersOf([path], roots).filter(({ pid }) => pid !== process.pid);
    // A second binding of one device is EINVAL, as a token for a kernel that knows none.
    if (errno === "EBUSY" || (errno === "EINVAL" && vfToken === undefined)) {
      throw baseFault(
        "ERR_VFMIG_VFIO_BUSY",
        `${calls.device} cannot be bound to an iommufd (${errno}): it is in use by ${describeHolders(holders)}, or open by its group. End that use first; one user at a time can have the device.`,
        { device: calls.device, errno, holders },
        error,
      );
    }
    // The group belongs to somebody else: to a driver of the host, or to another iommufd.
    if (errno === "EPERM" && blockers(facts).length > 0) throw notViable(facts, error);
    if (errno === "EPERM") {
      throw baseFault(
        "ERR_VFMIG_VFIO_BUSY",
        `${calls.device} cannot be bound to an iommufd (EPERM): its group is in use.${sharedGroup(facts)}`,
        { device: calls.device, errno, members: facts.members },
        error,
      );
    }
    if (errno === "EACCES" || errno === "EINVAL") {
      const more =
        errno === "EINVAL"
          ? ' Kernels before 6.17 know no tokens by iommufd: there, set the option path to "group".'
          : "";
      throw tokenFault(calls.device, errno, vfToken !== undefined, error, more);
    }
    throw error;
  }
}
