import type { IovaWindow } from "@vfmig/core";
import { baseFault, refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { DEVICE, IOMMUFD } from "../uapi/commands.ts";
import {
  ATTACH,
  DESTROY,
  DETACH_BYTES,
  HW_INFO,
  HWPT_ALLOC,
  IOAS_ALLOC,
  IOAS_UNMAP,
  ioasMapRequest,
  ioasUnmapRequest,
  IOVA_RANGES,
  iovaRangesRequest,
} from "../uapi/iommufd.ts";
import { sized, struct, wide } from "../uapi/struct.ts";
import { readPairs } from "../uapi/type1.ts";
import type { IoSpace, KernelMapping } from "./io-space.ts";

/** More windows than any IOMMU leaves. */
const WINDOWS_MAX = 4096;

export interface Ioas extends IoSpace {
  /** The page table that logs the device's writes; undefined where the IOMMU logs none. */
  readonly dirtyTable: number | undefined;
}

export interface IoasFds {
  readonly iommufd: number;
  readonly device: number;
  /** The device's id in the iommufd. */
  readonly deviceId: number;
}

/**
 * Makes an address space and attaches the device to it, to a page table that logs writes where
 * `dirty` is set and the IOMMU can. Nothing is left where it fails.
 */
export function openIoas(calls: KernelCalls, fds: IoasFds, dirty: boolean): Ioas {
  const { iommufd, device } = fds;
  const alloc = sized(IOAS_ALLOC.BYTES);
  calls.call(iommufd, IOMMUFD.IOAS_ALLOC, alloc.bytes);
  const ioas = alloc.view.getUint32(IOAS_ALLOC.ID, true);
  const made = [ioas];
  try {
    const dirtyTable = dirty ? allocDirtyTable(calls, fds, ioas) : undefined;
    if (dirtyTable !== undefined) made.push(dirtyTable);
    attach(calls, device, dirtyTable ?? ioas);
    const ranges = readRanges(calls, iommufd, ioas);
    return {
      ...ranges,
      ...requests(calls, iommufd, ioas),
      dirtyTable,
      detach: () => void calls.call(device, DEVICE.DETACH_IOMMUFD_PT, sized(DETACH_BYTES).bytes),
      close() {
        for (const id of made.toReversed()) destroy(calls, iommufd, id);
      },
    };
  } catch (error) {
    for (const id of made.toReversed()) destroy(calls, iommufd, id);
    throw error;
  }
}

function requests(
  calls: KernelCalls,
  iommufd: number,
  ioas: number,
): Pick<IoSpace, "map" | "mapLater" | "unmap" | "unmapLater"> {
  const map = (mapping: KernelMapping): Uint8Array => ioasMapRequest(ioas, mapping).bytes;
  return {
    map: (mapping) => void calls.call(iommufd, IOMMUFD.IOAS_MAP, map(mapping)),
    async mapLater(mapping) {
      await calls.later(iommufd, IOMMUFD.IOAS_MAP, map(mapping));
    },
    unmap(iova, size) {
      const request = ioasUnmapRequest(ioas, iova, size);
      calls.call(iommufd, IOMMUFD.IOAS_UNMAP, request.bytes);
      return request.view.getBigUint64(IOAS_UNMAP.LENGTH, true);
    },
    async unmapLater(iova, size) {
      const request = ioasUnmapRequest(ioas, iova, size);
      await calls.later(iommufd, IOMMUFD.IOAS_UNMAP, request.bytes);
      return request.view.getBigUint64(IOAS_UNMAP.LENGTH, true);
    },
  };
}

function attach(calls: KernelCalls, device: number, table: number): void {
  const request = sized(ATTACH.BYTES);
  request.view.setUint32(ATTACH.TABLE, table, true);
  calls.call(device, DEVICE.ATTACH_IOMMUFD_PT, request.bytes);
}

/** What the IOMMU says that it cannot do, or does not say that it can, it is not asked for. */
function allocDirtyTable(calls: KernelCalls, fds: IoasFds, ioas: number): number | undefined {
  const { iommufd, deviceId } = fds;
  const info = sized(HW_INFO.BYTES);
  info.view.setUint32(HW_INFO.DEVICE, deviceId, true);
  const request = sized(HWPT_ALLOC.BYTES);
  request.view.setUint32(HWPT_ALLOC.FLAGS, HWPT_ALLOC.DIRTY_TRACKING, true);
  request.view.setUint32(HWPT_ALLOC.DEVICE, deviceId, true);
  request.view.setUint32(HWPT_ALLOC.TABLE, ioas, true);
  try {
    calls.call(iommufd, IOMMUFD.GET_HW_INFO, info.bytes);
    const capabilities = info.view.getBigUint64(HW_INFO.CAPABILITIES, true);
    if ((capabilities & HW_INFO.DIRTY_TRACKING) === 0n) return undefined;
    calls.call(iommufd, IOMMUFD.HWPT_ALLOC, request.bytes);
    return request.view.getUint32(HWPT_ALLOC.ID, true);
  } catch (error) {
    // ENOENT: a mediated device, which has no IOMMU. EOPNOTSUPP: this IOMMU keeps no log.
    const errno = refusedWith(error) ?? "";
    if (["ENOENT", "EOPNOTSUPP", "ENOTTY", "EINVAL"].includes(errno)) return undefined;
    throw error;
  }
}

function readRanges(
  calls: KernelCalls,
  iommufd: number,
  ioas: number,
): { readonly windows: readonly IovaWindow[]; readonly pageSize: number } {
  let count = 0;
  // The first call tells the number; a neighbour that attaches may change it before the second.
  for (let tries = 0; tries < 4; tries += 1) {
    const request = iovaRangesRequest(ioas, count);
    const list = struct(Math.max(1, count) * IOVA_RANGES.PAIR_BYTES);
    const pointers = count === 0 ? [] : [{ at: IOVA_RANGES.POINTER, memory: list.bytes }];
    try {
      calls.call(iommufd, IOMMUFD.IOAS_IOVA_RANGES, request.bytes, pointers);
    } catch (error) {
      if (refusedWith(error) !== "EMSGSIZE") throw error;
      count = Math.min(request.view.getUint32(IOVA_RANGES.COUNT, true), WINDOWS_MAX);
      continue;
    }
    const found = request.view.getUint32(IOVA_RANGES.COUNT, true);
    const alignment = wide(request.view, IOVA_RANGES.ALIGNMENT);
    const pageSize = alignment > 0 && alignment <= 2 ** 30 ? Math.max(4096, alignment) : 4096;
    return { windows: readPairs(list.view, 0, Math.min(found, count)), pageSize };
  }
  throw baseFault(
    "ERR_VFMIG_VFIO_ANSWER",
    `IOMMU_IOAS_IOVA_RANGES for ${calls.device} asks for more room each time. Report it to the kernel's iommufd maintainers.`,
    { device: calls.device, count },
  );
}

function destroy(calls: KernelCalls, iommufd: number, id: number): void {
  const request = sized(DESTROY.BYTES);
  request.view.setUint32(DESTROY.ID, id, true);
  calls.call(iommufd, IOMMUFD.DESTROY, request.bytes);
}
