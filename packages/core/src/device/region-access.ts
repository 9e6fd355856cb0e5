import { VfmigError, type Layer } from "../errors/vfmig-error.ts";
import type { RegionInfo } from "./info.ts";

/**
 * Refuses an access that its region does not have; allocates nothing where it is fine.
 *
 * @param offset - bytes from the region's start
 * @param length - bytes, 0 or more
 * @throws VfmigError `ERR_VFMIG_REGION_INDEX`, `ERR_VFMIG_REGION_RANGE`, `ERR_VFMIG_REGION_ACCESS`
 */
export function checkRegionAccess(
  regions: readonly RegionInfo[],
  index: number,
  offset: number,
  length: number,
  access: "read" | "write",
  layer: Layer = "core",
): void {
  const region = regions[index];
  if (region === undefined) throw noRegion(regions, index, layer);
  // Written so that NaN, a fraction and a negative number all fail.
  if (!(Number.isSafeInteger(offset) && offset >= 0 && length <= region.size - offset)) {
    throw outside(region, offset, length, access, layer);
  }
  if (access === "read" ? !region.read : !region.write) {
    throw new VfmigError(
      "ERR_VFMIG_REGION_ACCESS",
      `Region ${index} does not allow a ${access} (offset ${offset}, ${length} bytes).`,
      { layer, details: { region: index, offset, length, access, errno: "EINVAL" } },
    );
  }
}

function noRegion(regions: readonly RegionInfo[], index: number, layer: Layer): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REGION_INDEX",
    `There is no region ${String(index)}: the device has regions 0 to ${regions.length - 1}.`,
    { layer, details: { region: index, regions: regions.length, errno: "EINVAL" } },
  );
}

function outside(
  region: RegionInfo,
  offset: number,
  length: number,
  access: string,
  layer: Layer,
): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REGION_RANGE",
    `A ${access} of ${length} bytes at offset ${String(offset)} lies outside region ` +
      `${region.index}, which has ${region.size} bytes.`,
    {
      layer,
      details: { region: region.index, offset, length, size: region.size, access, errno: "EINVAL" },
    },
  );
}
