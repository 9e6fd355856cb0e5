/** An area of a region that a user may map, in bytes from the region's start; page aligned. */
export interface MmapArea {
  readonly offset: number;
  readonly size: number;
}

/** How a region can be mapped (`VFIO_REGION_INFO_CAP_SPARSE_MMAP`). */
export interface RegionMmap {
  /** File descriptor that backs the region; owned by the device. */
  readonly fd: number;
  /** Where the region begins in that file, in bytes. */
  readonly fdOffset: bigint;
  /** Sorted, without overlap, inside the region. */
  readonly areas: readonly MmapArea[];
  /**
   * The areas that remain mappable while the device is saved or its writes are logged, where these are
   * fewer: whoever maps others has to let go of them first.
   */
  readonly saving?: readonly MmapArea[] | undefined;
}

/** What a region or an irq index beyond those of its bus is for (`VFIO_REGION_INFO_CAP_TYPE`). */
export interface SpecificType {
  readonly type: number;
  readonly subtype: number;
}

/** One region (`struct vfio_region_info`). Size 0 means that the device has no such region. */
export interface RegionInfo {
  readonly index: number;
  /** Bytes. */
  readonly size: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly mmap?: RegionMmap | undefined;
  /** For a device-specific region: users find it by this, never by its index. */
  readonly type?: SpecificType | undefined;
}

/** One irq index (`struct vfio_irq_info`). */
export interface IrqInfo {
  readonly index: number;
  /** Vectors of this index; 0 means that the device has none. */
  readonly count: number;
  readonly eventfd: boolean;
  readonly maskable: boolean;
  readonly automasked: boolean;
  readonly noResize: boolean;
  /** For a device-specific index: users find it by this, never by its number. */
  readonly type?: SpecificType | undefined;
}

/** The PCI identity of a function, as config space gives it. */
export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  readonly revision: number;
}

/** Who really drives a device. Shown on every surface. */
export interface DeviceIdentity {
  /** The device's name in the configuration. */
  readonly device: string;
  readonly base: { readonly name: string; readonly version: string };
  /** The sub-driver, or undefined where the device runs on its base alone. */
  readonly driver?: DriverIdentity | undefined;
  readonly pci?: PciIdentity | undefined;
}

export interface DriverIdentity {
  readonly name: string;
  readonly version: string;
  /** `sha512-...` over the files that npm would publish, where the host computed it. */
  readonly integrity?: string | undefined;
  readonly privileges: readonly string[];
  /** Where a transparent driver runs in another's place: that one, of which nothing runs. */
  readonly standsFor?: { readonly name: string; readonly version: string } | undefined;
}

/** IOVAs that a device can address; `last` is inclusive. */
export interface IovaWindow {
  readonly first: bigint;
  readonly last: bigint;
}

/** What a device is (`struct vfio_device_info`) and who drives it. */
export interface DeviceInfo {
  readonly identity: DeviceIdentity;
  /** `VFIO_DEVICE_FLAGS_PCI`: region and irq indexes have the PCI meaning. */
  readonly pci: boolean;
  /** `VFIO_DEVICE_FLAGS_RESET`. */
  readonly resettable: boolean;
  /** `regions[i].index === i`. */
  readonly regions: readonly RegionInfo[];
  /** `irqs[i].index === i`. */
  readonly irqs: readonly IrqInfo[];
  readonly iovaWindows: readonly IovaWindow[];
}

/** PCI region indexes (`linux/vfio.h`). */
export const PCI_REGION = {
  BAR0: 0,
  BAR1: 1,
  BAR2: 2,
  BAR3: 3,
  BAR4: 4,
  BAR5: 5,
  ROM: 6,
  CONFIG: 7,
  VGA: 8,
} as const;

/** PCI irq indexes (`linux/vfio.h`). */
export const PCI_IRQ = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const;

/** Types of device-specific regions (`linux/vfio.h`). */
export const REGION_TYPE = {
  /** The migration region of protocol v1, which kernels before 5.18 had. */
  MIGRATION: { type: 3, subtype: 1 },
} as const;

/**
 * Types of device-specific irq indexes. The kernel has none: the type is the letters `vfmg`, so that it
 * meets no number that a kernel may give out.
 */
export const IRQ_TYPE = {
  /** The mmap layout of some region has changed: ask for the region information again. */
  LAYOUT: { type: 0x7666_6d67, subtype: 1 },
} as const;

/** True where `given` is the type `wanted`. */
export function hasType(given: SpecificType | undefined, wanted: SpecificType): boolean {
  return given?.type === wanted.type && given.subtype === wanted.subtype;
}
