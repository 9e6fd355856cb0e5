import { sized, type Struct } from "./struct.ts";

/** `struct vfio_device_bind_iommufd`; 24 bytes only with a token, which kernels before 6.17 do not know. */
export const BIND = {
  FLAGS: 4,
  IOMMUFD: 8,
  DEVICE_ID: 12,
  TOKEN: 16,
  BYTES: 16,
  TOKEN_BYTES: 24,
} as const;
export const BIND_TOKEN = 1;

/** `struct vfio_device_attach_iommufd_pt` and `..._detach_...`, without the PASID of later kernels. */
export const ATTACH = { TABLE: 8, BYTES: 12 } as const;
export const DETACH_BYTES = 8;

/** `struct iommu_ioas_alloc`, `struct iommu_destroy`. */
export const IOAS_ALLOC = { ID: 8, BYTES: 12 } as const;
export const DESTROY = { ID: 4, BYTES: 8 } as const;

/** `struct iommu_ioas_iova_ranges`; its entries are pairs as the container's. */
export const IOVA_RANGES = {
  IOAS: 4,
  COUNT: 8,
  POINTER: 16,
  ALIGNMENT: 24,
  BYTES: 32,
  PAIR_BYTES: 16,
} as const;

/** `struct iommu_ioas_map`. */
export const IOAS_MAP = {
  FLAGS: 4,
  IOAS: 8,
  ADDRESS: 16,
  LENGTH: 24,
  IOVA: 32,
  BYTES: 40,
  FIXED_IOVA: 1,
  WRITEABLE: 2,
  READABLE: 4,
} as const;

/** `struct iommu_ioas_unmap`. */
export const IOAS_UNMAP = { IOAS: 4, IOVA: 8, LENGTH: 16, BYTES: 24 } as const;

/** `struct iommu_hwpt_alloc`, up to `data_uptr`. */
export const HWPT_ALLOC = {
  FLAGS: 4,
  DEVICE: 8,
  TABLE: 12,
  ID: 16,
  BYTES: 40,
  DIRTY_TRACKING: 2,
} as const;

/** `struct iommu_hw_info`; capability bit 0 tells of dirty tracking. */
export const HW_INFO = {
  DEVICE: 8,
  TYPE: 24,
  CAPABILITIES: 32,
  BYTES: 40,
  DIRTY_TRACKING: 1n,
} as const;

/** `struct iommu_hwpt_set_dirty_tracking`. */
export const SET_DIRTY = { FLAGS: 4, HWPT: 8, BYTES: 16, ENABLE: 1 } as const;

/** `struct iommu_hwpt_get_dirty_bitmap`. */
export const GET_DIRTY = {
  HWPT: 4,
  FLAGS: 8,
  IOVA: 16,
  LENGTH: 24,
  PAGE_SIZE: 32,
  POINTER: 40,
  BYTES: 48,
} as const;

export function iovaRangesRequest(ioas: number, count: number): Struct {
  const request = sized(IOVA_RANGES.BYTES);
  request.view.setUint32(IOVA_RANGES.IOAS, ioas, true);
  request.view.setUint32(IOVA_RANGES.COUNT, count, true);
  return request;
}

export function ioasMapRequest(
  ioas: number,
  mapping: {
    readonly iova: bigint;
    readonly size: bigint;
    readonly address: bigint;
    readonly read: boolean;
    readonly write: boolean;
  },
): Struct {
  const request = sized(IOAS_MAP.BYTES);
  const flags =
    IOAS_MAP.FIXED_IOVA |
    (mapping.write ? IOAS_MAP.WRITEABLE : 0) |
    (mapping.read ? IOAS_MAP.READABLE : 0);
  request.view.setUint32(IOAS_MAP.FLAGS, flags, true);
  request.view.setUint32(IOAS_MAP.IOAS, ioas, true);
  request.view.setBigUint64(IOAS_MAP.ADDRESS, mapping.address, true);
  request.view.setBigUint64(IOAS_MAP.LENGTH, mapping.size, true);
  request.view.setBigUint64(IOAS_MAP.IOVA, mapping.iova, true);
  return request;
}

export function ioasUnmapRequest(ioas: number, iova: bigint, size: bigint): Struct {
  const request = sized(IOAS_UNMAP.BYTES);
  request.view.setUint32(IOAS_UNMAP.IOAS, ioas, true);
  request.view.setBigUint64(IOAS_UNMAP.IOVA, iova, true);
  request.view.setBigUint64(IOAS_UNMAP.LENGTH, size, true);
  return request;
}

export function dirtyBitmapRequest(
  hwpt: number,
  iova: number,
  length: number,
  pageSize: number,
): Struct {
  const request = sized(GET_DIRTY.BYTES);
  request.view.setUint32(GET_DIRTY.HWPT, hwpt, true);
  request.view.setBigUint64(GET_DIRTY.IOVA, BigInt(iova), true);
  request.view.setBigUint64(GET_DIRTY.LENGTH, BigInt(length), true);
  request.view.setBigUint64(GET_DIRTY.PAGE_SIZE, BigInt(pageSize), true);
  return request;
}
