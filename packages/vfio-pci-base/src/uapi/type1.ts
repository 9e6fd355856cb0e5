import type { IovaWindow } from "@vfmig/core";
import { capabilities } from "./capability-chain.ts";
import { sized, type Struct } from "./struct.ts";

/** `struct vfio_iommu_type1_info`. */
export const TYPE1_INFO = { ARGSZ: 0, FLAGS: 4, PGSIZES: 8, CAP_OFFSET: 16, BYTES: 24 } as const;
export const TYPE1_FLAG = { PGSIZES: 1, CAPS: 2 } as const;
export const TYPE1_CAP = { IOVA_RANGE: 1, MIGRATION: 2, DMA_AVAIL: 3 } as const;

/** `struct vfio_iommu_type1_info_cap_iova_range`: inclusive pairs from 16 on. */
const RANGES = { COUNT: 8, PAIRS: 16, PAIR_BYTES: 16 } as const;

/** `struct vfio_iommu_type1_dma_map`. */
export const TYPE1_MAP = {
  FLAGS: 4,
  VADDR: 8,
  IOVA: 16,
  SIZE: 24,
  BYTES: 32,
  READ: 1,
  WRITE: 2,
} as const;

/** `struct vfio_iommu_type1_dma_unmap`. */
export const TYPE1_UNMAP = { FLAGS: 4, IOVA: 8, SIZE: 16, BYTES: 24 } as const;

export interface Type1Info {
  /** Bit n: pages of 2^n bytes can be mapped. */
  readonly pageSizes: bigint;
  /** Undefined where the kernel does not tell (before 5.4). */
  readonly windows: readonly IovaWindow[] | undefined;
  /** Mappings that can still be made; undefined where the kernel does not tell (before 5.10). */
  readonly mappingsLeft: number | undefined;
}

export function type1InfoNeeds({ view, bytes }: Struct): number | undefined {
  const needed = view.getUint32(TYPE1_INFO.ARGSZ, true);
  const caps = (view.getUint32(TYPE1_INFO.FLAGS, true) & TYPE1_FLAG.CAPS) !== 0;
  return caps && needed > bytes.length ? needed : undefined;
}

export function readType1Info({ view }: Struct): Type1Info {
  const flags = view.getUint32(TYPE1_INFO.FLAGS, true);
  const first = (flags & TYPE1_FLAG.CAPS) === 0 ? 0 : view.getUint32(TYPE1_INFO.CAP_OFFSET, true);
  const chain = capabilities(view, first, 20);
  const at = (id: number): number | undefined => chain.find((cap) => cap.id === id)?.at;
  const left = at(TYPE1_CAP.DMA_AVAIL);
  return {
    pageSizes:
      (flags & TYPE1_FLAG.PGSIZES) === 0 ? 0n : view.getBigUint64(TYPE1_INFO.PGSIZES, true),
    windows: readWindows(view, at(TYPE1_CAP.IOVA_RANGE)),
    mappingsLeft:
      left === undefined || left + 12 > view.byteLength
        ? undefined
        : view.getUint32(left + 8, true),
  };
}

function readWindows(view: DataView, at: number | undefined): readonly IovaWindow[] | undefined {
  if (at === undefined || at + RANGES.PAIRS > view.byteLength) return undefined;
  const room = Math.floor((view.byteLength - at - RANGES.PAIRS) / RANGES.PAIR_BYTES);
  const count = Math.min(view.getUint32(at + RANGES.COUNT, true), room);
  return readPairs(view, at + RANGES.PAIRS, count);
}

/** Inclusive pairs, as the container and iommufd both list them. */
export function readPairs(view: DataView, at: number, count: number): readonly IovaWindow[] {
  return Array.from({ length: count }, (_, i) => ({
    first: view.getBigUint64(at + i * RANGES.PAIR_BYTES, true),
    last: view.getBigUint64(at + i * RANGES.PAIR_BYTES + 8, true),
  }));
}

export function type1MapRequest(mapping: {
  readonly iova: bigint;
  readonly size: bigint;
  readonly address: bigint;
  readonly read: boolean;
  readonly write: boolean;
}): Struct {
  const request = sized(TYPE1_MAP.BYTES);
  const flags = (mapping.read ? TYPE1_MAP.READ : 0) | (mapping.write ? TYPE1_MAP.WRITE : 0);
  request.view.setUint32(TYPE1_MAP.FLAGS, flags, true);
  request.view.setBigUint64(TYPE1_MAP.VADDR, mapping.address, true);
  request.view.setBigUint64(TYPE1_MAP.IOVA, mapping.iova, true);
  request.view.setBigUint64(TYPE1_MAP.SIZE, mapping.size, true);
  return request;
}

export function type1UnmapRequest(iova: bigint, size: bigint): Struct {
  const request = sized(TYPE1_UNMAP.BYTES);
  request.view.setBigUint64(TYPE1_UNMAP.IOVA, iova, true);
  request.view.setBigUint64(TYPE1_UNMAP.SIZE, size, true);
  return request;
}
