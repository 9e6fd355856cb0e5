import { createLinuxIo } from "@vfmig/linux";
import {
  bindDevice,
  listDevices,
  unbindDevice,
  type BindOutcome,
  type ListedDevice,
  type SystemRoots,
} from "@vfmig/vfio-pci-base";

/** Where the system's trees are; other places are for tests. */
export interface PciRoots extends SystemRoots {
  /** Where it is kept what a device was before it was bound; default `/run/vfmig/bind`. */
  readonly records?: string | undefined;
}

/** What this machine has that could be given to a guest, by address. */
export function pciDevices(roots: PciRoots = {}): readonly ListedDevice[] {
  return listDevices(roots);
}

/**
 * Gives a PCI function to a VFIO driver, and keeps what had it before.
 * @throws VfmigError `ERR_VFMIG_VFIO_*`
 */
export function bindPciDevice(
  address: string,
  driver: string | undefined,
  roots: PciRoots = {},
): BindOutcome {
  return bindDevice(address, { ...roots, driver, io: createLinuxIo() });
}

/**
 * Gives it back to what had it before.
 * @throws VfmigError `ERR_VFMIG_VFIO_*`
 */
export function unbindPciDevice(address: string, roots: PciRoots = {}): BindOutcome {
  return unbindDevice(address, { ...roots, io: createLinuxIo() });
}

export type { BindOutcome, ListedDevice };
