import type { IovaWindow } from "@vfmig/core";
import { refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { CONTAINER, GROUP } from "../uapi/commands.ts";
import { sized } from "../uapi/struct.ts";
import {
  readType1Info,
  TYPE1_INFO,
  TYPE1_UNMAP,
  type1InfoNeeds,
  type1MapRequest,
  type1UnmapRequest,
} from "../uapi/type1.ts";
import type { IoSpace, KernelMapping } from "./io-space.ts";

/** Kernels before 5.4 name no ranges; then all addresses may do, and the kernel refuses what does not. */
const ALL: readonly IovaWindow[] = [{ first: 0n, last: (1n << 64n) - 1n }];

/** A type1 container with one group. */
export function openContainer(
  calls: KernelCalls,
  fds: { readonly container: number; readonly group: number },
): IoSpace {
  const { container, group } = fds;
  const info = readInfo(calls, container);
  const unmapped = ({ view }: { readonly view: DataView }): bigint =>
    view.getBigUint64(TYPE1_UNMAP.SIZE, true);
  return {
    windows: info.windows ?? ALL,
    pageSize: smallest(info.pageSizes),
    map: (mapping) => void calls.call(container, CONTAINER.MAP_DMA, type1MapRequest(mapping).bytes),
    async mapLater(mapping: KernelMapping) {
      await calls.later(container, CONTAINER.MAP_DMA, type1MapRequest(mapping).bytes);
    },
    unmap(iova, size) {
      const request = type1UnmapRequest(iova, size);
      calls.call(container, CONTAINER.UNMAP_DMA, request.bytes);
      return unmapped(request);
    },
    async unmapLater(iova, size) {
      const request = type1UnmapRequest(iova, size);
      await calls.later(container, CONTAINER.UNMAP_DMA, request.bytes);
      return unmapped(request);
    },
    // A group leaves its container as a whole, and only when its devices are closed.
    detach() {},
    close() {
      try {
        calls.call(group, GROUP.UNSET_CONTAINER);
      } catch (error) {
        // A client still holds the device, which it was given to map: its end is the group's as well.
        if (refusedWith(error) !== "EBUSY") throw error;
      }
    },
  };
}

/** First with room for the fixed part only; the kernel then says how much it has. */
function readInfo(calls: KernelCalls, container: number): ReturnType<typeof readType1Info> {
  const short = sized(TYPE1_INFO.BYTES);
  calls.call(container, CONTAINER.GET_INFO, short.bytes);
  const needed = type1InfoNeeds(short);
  if (needed === undefined) return readType1Info(short);
  const whole = sized(needed);
  calls.call(container, CONTAINER.GET_INFO, whole.bytes);
  return readType1Info(whole);
}

/** The lowest bit that is set; 4 KiB where none is. */
function smallest(sizes: bigint): number {
  const lowest = sizes & -sizes;
  return lowest === 0n || lowest > 1n << 30n ? 4096 : Number(lowest);
}
