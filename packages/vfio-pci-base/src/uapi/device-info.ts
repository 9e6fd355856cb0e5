import type { IrqInfo, MmapArea } from "@vfmig/core";
import { capabilities } from "./capability-chain.ts";
import { sized, struct, wide, type Struct } from "./struct.ts";

/** `struct vfio_device_info`; the kernel before 6.2 fills 20 bytes. */
export const DEVICE_INFO = { FLAGS: 4, REGIONS: 8, IRQS: 12, BYTES: 24 } as const;
export const DEVICE_FLAG = { RESET: 1, PCI: 2 } as const;

/** `struct vfio_region_info`. */
export const REGION_INFO = {
  ARGSZ: 0,
  FLAGS: 4,
  INDEX: 8,
  CAP_OFFSET: 12,
  SIZE: 16,
  OFFSET: 24,
  BYTES: 32,
} as const;
export const REGION_FLAG = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
export const REGION_CAP = { SPARSE_MMAP: 1, TYPE: 2, MSIX_MAPPABLE: 3 } as const;

/** `struct vfio_region_info_cap_sparse_mmap` and `struct vfio_region_sparse_mmap_area`. */
export const SPARSE = { COUNT: 8, AREAS: 16, AREA_BYTES: 16 } as const;

/** `struct vfio_irq_info`. */
export const IRQ_INFO = { FLAGS: 4, INDEX: 8, COUNT: 12, BYTES: 16 } as const;
export const IRQ_FLAG = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;

/** What a region is, as the kernel says it. */
export interface KernelRegion {
  readonly index: number;
  readonly size: number;
  /** Where it begins in the device's file. */
  readonly offset: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly mmap: boolean;
  /** Undefined where the kernel lists none: then all of a mappable region is. */
  readonly sparse: readonly MmapArea[] | undefined;
  readonly msixMappable: boolean;
  readonly type: { readonly type: number; readonly subtype: number } | undefined;
}

export interface KernelDeviceInfo {
  readonly resettable: boolean;
  readonly pci: boolean;
  readonly regions: number;
  readonly irqs: number;
}

export function readDeviceInfo({ view }: Struct): KernelDeviceInfo {
  const flags = view.getUint32(DEVICE_INFO.FLAGS, true);
  return {
    resettable: (flags & DEVICE_FLAG.RESET) !== 0,
    pci: (flags & DEVICE_FLAG.PCI) !== 0,
    regions: view.getUint32(DEVICE_INFO.REGIONS, true),
    irqs: view.getUint32(DEVICE_INFO.IRQS, true),
  };
}

/** @param size at least 32; more for the capabilities */
export function regionInfoRequest(index: number, size: number): Struct {
  const request = sized(size);
  request.view.setUint32(REGION_INFO.INDEX, index, true);
  return request;
}

/** The `argsz` with which the capabilities fit, or undefined where they are there or there are none. */
export function regionInfoNeeds({ view, bytes }: Struct): number | undefined {
  const needed = view.getUint32(REGION_INFO.ARGSZ, true);
  const caps = (view.getUint32(REGION_INFO.FLAGS, true) & REGION_FLAG.CAPS) !== 0;
  return caps && needed > bytes.length ? needed : undefined;
}

export function readRegionInfo({ view }: Struct): KernelRegion {
  const flags = view.getUint32(REGION_INFO.FLAGS, true);
  const first = (flags & REGION_FLAG.CAPS) === 0 ? 0 : view.getUint32(REGION_INFO.CAP_OFFSET, true);
  const chain = capabilities(view, first, REGION_INFO.BYTES);
  const at = (id: number): number | undefined => chain.find((cap) => cap.id === id)?.at;
  const typeAt = at(REGION_CAP.TYPE);
  return {
    index: view.getUint32(REGION_INFO.INDEX, true),
    size: wide(view, REGION_INFO.SIZE),
    offset: view.getBigUint64(REGION_INFO.OFFSET, true),
    read: (flags & REGION_FLAG.READ) !== 0,
    write: (flags & REGION_FLAG.WRITE) !== 0,
    mmap: (flags & REGION_FLAG.MMAP) !== 0,
    sparse: readSparse(view, at(REGION_CAP.SPARSE_MMAP)),
    msixMappable: at(REGION_CAP.MSIX_MAPPABLE) !== undefined,
    type:
      typeAt === undefined || typeAt + 16 > view.byteLength
        ? undefined
        : { type: view.getUint32(typeAt + 8, true), subtype: view.getUint32(typeAt + 12, true) },
  };
}

function readSparse(view: DataView, at: number | undefined): readonly MmapArea[] | undefined {
  if (at === undefined || at + SPARSE.AREAS > view.byteLength) return undefined;
  const room = Math.floor((view.byteLength - at - SPARSE.AREAS) / SPARSE.AREA_BYTES);
  const count = Math.min(view.getUint32(at + SPARSE.COUNT, true), room);
  return Array.from({ length: count }, (_, i) => {
    const area = at + SPARSE.AREAS + i * SPARSE.AREA_BYTES;
    return { offset: wide(view, area), size: wide(view, area + 8) };
  });
}

export function irqInfoRequest(index: number): Struct {
  const request = sized(IRQ_INFO.BYTES);
  request.view.setUint32(IRQ_INFO.INDEX, index, true);
  return request;
}

export function readIrqInfo({ view }: Struct): IrqInfo {
  const flags = view.getUint32(IRQ_INFO.FLAGS, true);
  return {
    index: view.getUint32(IRQ_INFO.INDEX, true),
    count: view.getUint32(IRQ_INFO.COUNT, true),
    eventfd: (flags & IRQ_FLAG.EVENTFD) !== 0,
    maskable: (flags & IRQ_FLAG.MASKABLE) !== 0,
    automasked: (flags & IRQ_FLAG.AUTOMASKED) !== 0,
    noResize: (flags & IRQ_FLAG.NORESIZE) !== 0,
  };
}

/** `struct vfio_pci_hot_reset_info`, `struct vfio_pci_dependent_device`, `struct vfio_pci_hot_reset`. */
export const HOT_RESET = {
  FLAGS: 4,
  COUNT: 8,
  DEVICES: 12,
  DEVICE_BYTES: 8,
  DEV_ID: 1,
  DEV_ID_OWNED: 2,
} as const;

export interface DependentDevice {
  /** Its IOMMU group; in the iommufd way 0 for one of ours, or -1 for somebody else's. */
  readonly id: number;
  readonly address: string;
}

export interface HotResetInfo {
  readonly byDeviceId: boolean;
  readonly owned: boolean;
  readonly devices: readonly DependentDevice[];
}

export function hotResetInfoRequest(devices: number): Struct {
  return sized(HOT_RESET.DEVICES + devices * HOT_RESET.DEVICE_BYTES);
}

export function hotResetCount({ view }: Struct): number {
  return view.getUint32(HOT_RESET.COUNT, true);
}

export function readHotResetInfo({ view, bytes }: Struct): HotResetInfo {
  const flags = view.getUint32(HOT_RESET.FLAGS, true);
  const room = Math.floor((bytes.length - HOT_RESET.DEVICES) / HOT_RESET.DEVICE_BYTES);
  const count = Math.min(view.getUint32(HOT_RESET.COUNT, true), room);
  return {
    byDeviceId: (flags & HOT_RESET.DEV_ID) !== 0,
    owned: (flags & HOT_RESET.DEV_ID_OWNED) !== 0,
    devices: Array.from({ length: count }, (_, i) => {
      const at = HOT_RESET.DEVICES + i * HOT_RESET.DEVICE_BYTES;
      const hex = (value: number, digits: number): string =>
        value.toString(16).padStart(digits, "0");
      const devfn = view.getUint8(at + 7);
      const segment = hex(view.getUint16(at + 4, true), 4);
      const bus = hex(view.getUint8(at + 6), 2);
      return {
        id: view.getInt32(at, true),
        address: `${segment}:${bus}:${hex(devfn >> 3, 2)}.${devfn & 7}`,
      };
    }),
  };
}

/** @param groups descriptors of every affected group; none in the iommufd way */
export function hotResetRequest(groups: readonly number[]): Struct {
  const request = struct(12 + groups.length * 4);
  request.view.setUint32(0, 12 + groups.length * 4, true);
  request.view.setUint32(HOT_RESET.COUNT, groups.length, true);
  for (const [i, fd] of groups.entries()) request.view.setInt32(12 + i * 4, fd, true);
  return request;
}
