/** A request number with its name; the file descriptors of VFIO share the numbers, not the meanings. */
export interface Command {
  readonly name: string;
  /** `_IO(';', n)`: neither direction nor size is in it. */
  readonly number: number;
}

/** Requests on `/dev/vfio/vfio` (`linux/vfio.h`). */
export const CONTAINER = {
  GET_API_VERSION: { name: "VFIO_GET_API_VERSION", number: 0x3b64 },
  CHECK_EXTENSION: { name: "VFIO_CHECK_EXTENSION", number: 0x3b65 },
  SET_IOMMU: { name: "VFIO_SET_IOMMU", number: 0x3b66 },
  GET_INFO: { name: "VFIO_IOMMU_GET_INFO", number: 0x3b70 },
  MAP_DMA: { name: "VFIO_IOMMU_MAP_DMA", number: 0x3b71 },
  UNMAP_DMA: { name: "VFIO_IOMMU_UNMAP_DMA", number: 0x3b72 },
} as const;

/** Requests on `/dev/vfio/<group>`. */
export const GROUP = {
  GET_STATUS: { name: "VFIO_GROUP_GET_STATUS", number: 0x3b67 },
  SET_CONTAINER: { name: "VFIO_GROUP_SET_CONTAINER", number: 0x3b68 },
  UNSET_CONTAINER: { name: "VFIO_GROUP_UNSET_CONTAINER", number: 0x3b69 },
  GET_DEVICE_FD: { name: "VFIO_GROUP_GET_DEVICE_FD", number: 0x3b6a },
} as const;

/** Requests on a device, whichever way it was opened. */
export const DEVICE = {
  GET_INFO: { name: "VFIO_DEVICE_GET_INFO", number: 0x3b6b },
  GET_REGION_INFO: { name: "VFIO_DEVICE_GET_REGION_INFO", number: 0x3b6c },
  GET_IRQ_INFO: { name: "VFIO_DEVICE_GET_IRQ_INFO", number: 0x3b6d },
  SET_IRQS: { name: "VFIO_DEVICE_SET_IRQS", number: 0x3b6e },
  RESET: { name: "VFIO_DEVICE_RESET", number: 0x3b6f },
  GET_PCI_HOT_RESET_INFO: { name: "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", number: 0x3b70 },
  PCI_HOT_RESET: { name: "VFIO_DEVICE_PCI_HOT_RESET", number: 0x3b71 },
  FEATURE: { name: "VFIO_DEVICE_FEATURE", number: 0x3b75 },
  BIND_IOMMUFD: { name: "VFIO_DEVICE_BIND_IOMMUFD", number: 0x3b76 },
  ATTACH_IOMMUFD_PT: { name: "VFIO_DEVICE_ATTACH_IOMMUFD_PT", number: 0x3b77 },
  DETACH_IOMMUFD_PT: { name: "VFIO_DEVICE_DETACH_IOMMUFD_PT", number: 0x3b78 },
} as const;

/** The one request on the data descriptor of a saving session. */
export const MIGRATION_DATA = {
  GET_PRECOPY_INFO: { name: "VFIO_MIG_GET_PRECOPY_INFO", number: 0x3b79 },
} as const;

/** Requests on `/dev/iommu` (`linux/iommufd.h`). */
export const IOMMUFD = {
  DESTROY: { name: "IOMMU_DESTROY", number: 0x3b80 },
  IOAS_ALLOC: { name: "IOMMU_IOAS_ALLOC", number: 0x3b81 },
  IOAS_IOVA_RANGES: { name: "IOMMU_IOAS_IOVA_RANGES", number: 0x3b84 },
  IOAS_MAP: { name: "IOMMU_IOAS_MAP", number: 0x3b85 },
  IOAS_UNMAP: { name: "IOMMU_IOAS_UNMAP", number: 0x3b86 },
  HWPT_ALLOC: { name: "IOMMU_HWPT_ALLOC", number: 0x3b89 },
  GET_HW_INFO: { name: "IOMMU_GET_HW_INFO", number: 0x3b8a },
  HWPT_SET_DIRTY_TRACKING: { name: "IOMMU_HWPT_SET_DIRTY_TRACKING", number: 0x3b8b },
  HWPT_GET_DIRTY_BITMAP: { name: "IOMMU_HWPT_GET_DIRTY_BITMAP", number: 0x3b8c },
} as const;

/** Ids of `VFIO_CHECK_EXTENSION`, and types of `VFIO_SET_IOMMU`. */
export const TYPE1V2_IOMMU = 3;

/** Ids of `VFIO_DEVICE_FEATURE`. */
export const FEATURE = {
  PCI_VF_TOKEN: 0,
  MIGRATION: 1,
  MIG_DEVICE_STATE: 2,
  LOW_POWER_ENTRY: 3,
  LOW_POWER_ENTRY_WITH_WAKEUP: 4,
  LOW_POWER_EXIT: 5,
  DMA_LOGGING_START: 6,
  DMA_LOGGING_STOP: 7,
  DMA_LOGGING_REPORT: 8,
  MIG_DATA_SIZE: 9,
  DMA_BUF: 11,
  MIG_PRECOPY_INFOV2: 12,
} as const;
