import type { RegionInfo } from "@vfmig/core";
import { baseFault } from "../kernel-calls.ts";
import { isUuid, uuidBytes } from "../sysfs/device-name.ts";
import { FEATURE } from "../uapi/commands.ts";
import { FEATURE_HEAD } from "../uapi/feature.ts";
import type { Features } from "./features.ts";

/** `struct vfio_device_feature_dma_buf`, from the data on. */
const DMA_BUF = { REGION: 0, OPEN_FLAGS: 4, COUNT: 12, RANGES: 16, RANGE_BYTES: 16 } as const;
/** `O_RDWR | O_CLOEXEC`. */
const OPEN_FLAGS = 0o2000002;

/** @returns a descriptor that is the caller's */
export function exportRegion(
  features: Features,
  regions: readonly RegionInfo[],
  index: number,
  ranges: readonly { readonly offset: number; readonly size: number }[],
): number {
  const size = regions[index]?.size ?? 0;
  const inside = ranges.every(
    (range) => range.offset >= 0 && range.size > 0 && range.offset + range.size <= size,
  );
  if (ranges.length === 0 || !inside) {
    throw baseFault(
      "ERR_VFMIG_REGION_RANGE",
      `Region ${index} has ${size} bytes: the ranges to export are not inside it, or there are none.`,
      { region: index, ranges, size, errno: "EINVAL" },
    );
  }
  const bytes = DMA_BUF.RANGES + ranges.length * DMA_BUF.RANGE_BYTES;
  const request = features.request(FEATURE.DMA_BUF, "get", bytes);
  const at = FEATURE_HEAD.DATA;
  request.view.setUint32(at + DMA_BUF.REGION, index, true);
  request.view.setUint32(at + DMA_BUF.OPEN_FLAGS, OPEN_FLAGS, true);
  request.view.setUint32(at + DMA_BUF.COUNT, ranges.length, true);
  for (const [i, range] of ranges.entries()) {
    const entry = at + DMA_BUF.RANGES + i * DMA_BUF.RANGE_BYTES;
    request.view.setBigUint64(entry, BigInt(range.offset), true);
    request.view.setBigUint64(entry + 8, BigInt(range.size), true);
  }
  return features.run(request);
}

/** @throws VfmigError `ERR_VFMIG_VFIO_TOKEN` for what is no UUID */
export function setVfToken(features: Features, uuid: string): void {
  if (!isUuid(uuid)) {
    throw baseFault(
      "ERR_VFMIG_VFIO_TOKEN",
      `"${uuid}" is no UUID, and a VF token is one, such as 14d63f20-8445-11ea-8900-1f9ce7d5650d.`,
      { errno: "EINVAL" },
    );
  }
  const request = features.request(FEATURE.PCI_VF_TOKEN, "set", 16);
  request.bytes.set(uuidBytes(uuid), FEATURE_HEAD.DATA);
  features.run(request);
}
