import type { BindOutcome } from "@vfmig/vfio-pci-base";
import { listDevices, type ListedDevice, type SystemRoots } from "@vfmig/vfio-pci-base/list";

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
export async function bindPciDevice(
  address: string,
  driver: string | undefined,
  roots: PciRoots = {},
): Promise<BindOutcome> {
  const { bindDevice, io } = await binding();
  return bindDevice(address, { ...roots, driver, io });
}

/**
 * Gives it back to what had it before.
 * @throws VfmigError `ERR_VFMIG_VFIO_*`
 */
export async function unbindPciDevice(address: string, roots: PciRoots = {}): Promise<BindOutcome> {
  const { unbindDevice, io } = await binding();
  return unbindDevice(address, { ...roots, io });
}

/** Loaded by who binds: a list needs neither system calls nor the rest of the base. */
async function binding() {
  const { createLinuxIo } = await import("@vfmig/linux");
  const { bindDevice, unbindDevice } = await import("@vfmig/vfio-pci-base");
  return { bindDevice, unbindDevice, io: createLinuxIo() };
}

export type { BindOutcome, ListedDevice };
