import type { NativeIo } from "@vfmig/linux";
import { baseFault, errnoOf } from "../kernel-calls.ts";
import type { SystemRoots } from "../sysfs/sysfs.ts";
import { describeHolders, holdersOf } from "./holders.ts";

/**
 * Opens one of VFIO's files for a device.
 * @param more a sentence for whoever finds it in use, after a space; default: none
 * @throws VfmigError `ERR_VFMIG_VFIO_BUSY`, `ERR_VFMIG_VFIO_PERMISSION`, `ERR_VFMIG_VFIO_PATH`
 */
export function openVfioFile(
  io: NativeIo,
  path: string,
  device: string,
  roots: SystemRoots,
  more = "",
): number {
  try {
    return io.open(path);
  } catch (error) {
    const errno = errnoOf(error);
    const details = { device, path, errno };
    if (errno === "EBUSY") {
      const holders = holdersOf([path], roots);
      throw baseFault(
        "ERR_VFMIG_VFIO_BUSY",
        `${device} is in use: ${path} is open in ${describeHolders(holders)}. End that use first; one user at a time can have the device.${more}`,
        { ...details, holders },
        error,
      );
    }
    if (errno === "EACCES" || errno === "EPERM") {
      throw baseFault(
        "ERR_VFMIG_VFIO_PERMISSION",
        `${path} cannot be opened for ${device} (${errno}). Run the host as root, or give this user rights to the file.`,
        details,
        error,
      );
    }
    if (errno === "ENOENT" || errno === "ENXIO" || errno === "ENODEV") {
      throw baseFault(
        "ERR_VFMIG_VFIO_PATH",
        `${path} is not there, so ${device} cannot be opened that way. Load the modules (modprobe vfio-pci), or set the option path to "auto".`,
        details,
        error,
      );
    }
    throw error;
  }
}
