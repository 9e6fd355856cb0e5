import type { DeviceInfo, IrqInfo, MmapArea, RegionInfo } from "@vfmig/core";
import { baseFault, refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { DEVICE } from "../uapi/commands.ts";
import {
  DEVICE_INFO,
  irqInfoRequest,
  readDeviceInfo,
  readIrqInfo,
  readRegionInfo,
  regionInfoNeeds,
  regionInfoRequest,
  REGION_INFO,
  type KernelRegion,
} from "../uapi/device-info.ts";
import { sized } from "../uapi/struct.ts";
import { mappableAreas } from "./mappable-areas.ts";
import { findMsixTable, type MsixTable } from "./msix-table.ts";

/** More than any device has; a count beyond it is a broken driver's. */
const COUNT_MAX = 256;
/** Capabilities of one region take a few hundred bytes. */
const REGION_INFO_MAX = 65_536;

/** The device as the kernel describes it. */
export interface KernelDevice {
  readonly info: Omit<DeviceInfo, "identity" | "iovaWindows">;
  /** By index: where each region begins in the device's file. */
  readonly offsets: readonly number[];
  readonly msix: MsixTable | undefined;
}

/**
 * Asks the kernel for everything that never changes.
 *
 * @param direct - whether regions may be mapped by others
 * @throws VfmigError `ERR_VFMIG_VFIO_ANSWER`, `ERR_VFMIG_VFIO_GONE`, `ERR_VFMIG_VFIO_CALL`
 */
export function readKernelDevice(calls: KernelCalls, fd: number, direct: boolean): KernelDevice {
  const request = sized(DEVICE_INFO.BYTES);
  calls.call(fd, DEVICE.GET_INFO, request.bytes);
  const { resettable, pci, regions: regionCount, irqs: irqCount } = readDeviceInfo(request);
  if (regionCount > COUNT_MAX || irqCount > COUNT_MAX) {
    throw answerFault(calls, `it claims ${regionCount} regions and ${irqCount} irq indexes`);
  }
  const kernel = Array.from({ length: regionCount }, (_, i) => readRegion(calls, fd, i));
  const offsets = kernel.map((region) => checkOffset(calls, region));
  const msix = pci ? findMsixTable(calls.io, fd, kernel) : undefined;
  const regions = kernel.map((region) => describe(region, fd, direct, msix));
  const irqs = Array.from({ length: irqCount }, (_, i) => readIrq(calls, fd, i));
  return { info: { pci, resettable, regions, irqs }, offsets, msix };
}

function readRegion(calls: KernelCalls, fd: number, index: number): KernelRegion {
  let request = regionInfoRequest(index, REGION_INFO.BYTES);
  try {
    calls.call(fd, DEVICE.GET_REGION_INFO, request.bytes);
    const needed = regionInfoNeeds(request);
    if (needed !== undefined) {
      if (needed > REGION_INFO_MAX) {
        throw answerFault(calls, `region ${index} claims ${needed} bytes of capabilities`);
      }
      request = regionInfoRequest(index, needed);
      calls.call(fd, DEVICE.GET_REGION_INFO, request.bytes);
    }
  } catch (error) {
    // A region that the device does not have, such as VGA.
    if (refusedWith(error) !== "EINVAL") throw error;
    return ABSENT(index);
  }
  return { ...readRegionInfo(request), index };
}

const ABSENT = (index: number): KernelRegion => ({
  index,
  size: 0,
  offset: 0n,
  read: false,
  write: false,
  mmap: false,
  sparse: undefined,
  msixMappable: false,
  type: undefined,
});

/** Positions in the file are exact numbers; the kernel's are below 2^52. */
function checkOffset(calls: KernelCalls, { index, offset, size }: KernelRegion): number {
  const end = offset + BigInt(size);
  if (end <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(offset);
  throw answerFault(calls, `region ${index} is said to end at 0x${end.toString(16)} of its file`);
}

function describe(
  region: KernelRegion,
  fd: number,
  direct: boolean,
  msix: MsixTable | undefined,
): RegionInfo {
  const { index, size, read, write, type } = region;
  const areas: readonly MmapArea[] = direct ? mappableAreas(region, msix) : [];
  return {
    index,
    size,
    read,
    write,
    ...(areas.length === 0 ? {} : { mmap: { fd, fdOffset: region.offset, areas } }),
    ...(type === undefined ? {} : { type }),
  };
}

function readIrq(calls: KernelCalls, fd: number, index: number): IrqInfo {
  const request = irqInfoRequest(index);
  try {
    calls.call(fd, DEVICE.GET_IRQ_INFO, request.bytes);
  } catch (error) {
    // An index that the device does not have, such as ERR on a conventional PCI function.
    if (refusedWith(error) !== "EINVAL") throw error;
    return { index, count: 0, eventfd: false, maskable: false, automasked: false, noResize: false };
  }
  return { ...readIrqInfo(request), index };
}

function answerFault(calls: KernelCalls, why: string): Error {
  return baseFault(
    "ERR_VFMIG_VFIO_ANSWER",
    `The kernel's description of ${calls.device} makes no sense: ${why}. Report it to the maintainers of the device's VFIO driver.`,
    { device: calls.device },
  );
}
