import type { DeviceInfo, MmapArea, RegionInfo } from "../device/info.ts";
import { areValidAreas, coversArea, withoutStretches } from "../device/mmap-areas.ts";
import type { RegionFacet } from "../sub-driver/facets.ts";
import { DOORBELL_BYTES_MAX } from "./doorbells.ts";
import type { PluginGuard } from "./plugin-guard.ts";
import { areRanges } from "./trapped-ranges.ts";

/** The regions of a composed device, as they can be mapped while running and while saving. */
export interface Layouts {
  readonly runtime: readonly RegionInfo[];
  readonly saving: readonly RegionInfo[];
}

/**
 * Checks the region facets and lays the regions out.
 * @throws VfmigError `ERR_VFMIG_SUB_DRIVER_ANSWER`
 */
export function layOut(
  info: DeviceInfo,
  facets: readonly RegionFacet[],
  guard: PluginGuard,
): Layouts {
  const byIndex = new Map<number, RegionFacet>();
  for (const facet of facets) {
    checkFacet(info, facet, guard);
    if (byIndex.has(facet.index)) {
      throw guard.nonsense("its region facets", facet.index, "at most one facet for a region");
    }
    byIndex.set(facet.index, facet);
  }
  const layOne = (region: RegionInfo, phase: "runtime" | "saving"): RegionInfo => {
    const facet = byIndex.get(region.index);
    if (facet === undefined || region.mmap === undefined) return region;
    // Undeclared layouts are the base's, but a page with a trapped byte is never mapped past its trap.
    const areas = facet.mmap?.[phase] ?? withoutStretches(region.mmap.areas, facet.trapped);
    return { ...region, mmap: areas.length === 0 ? undefined : { ...region.mmap, areas } };
  };
  return {
    runtime: info.regions.map((region) => layOne(region, "runtime")),
    saving: info.regions.map((region) => layOne(region, "saving")),
  };
}

function checkFacet(info: DeviceInfo, facet: RegionFacet, guard: PluginGuard): void {
  const region = info.regions[facet.index];
  const what = `its facet for region ${String(facet.index)}`;
  if (region === undefined || region.size === 0) {
    throw guard.nonsense(what, facet.index, "a region that the base has");
  }
  if (typeof facet.read !== "function" || typeof facet.write !== "function") {
    throw guard.nonsense(what, facet, "a facet with read() and write()");
  }
  if (!areRanges(facet.trapped, region.size)) {
    throw guard.nonsense(
      `${what}, trapped`,
      facet.trapped,
      `sorted, separate ranges inside ${region.size} bytes`,
    );
  }
  checkDoorbells(facet, region.size, what, guard);
  for (const phase of ["runtime", "saving"] as const) {
    const areas = facet.mmap?.[phase];
    if (areas !== undefined) checkAreas(areas, region, `${what}, mmap.${phase}`, guard);
  }
}

function checkDoorbells(facet: RegionFacet, size: number, what: string, guard: PluginGuard): void {
  const doorbells = facet.doorbells ?? [];
  const bytes = areRanges(doorbells, size)
    ? doorbells.reduce((sum, range) => sum + range.size, 0)
    : Infinity;
  const inside =
    bytes <= DOORBELL_BYTES_MAX &&
    doorbells.every((doorbell) => coversArea(facet.trapped, doorbell));
  if (inside) return;
  throw guard.nonsense(
    `${what}, doorbells`,
    doorbells,
    `sorted, separate ranges inside the trapped ones, of at most ${DOORBELL_BYTES_MAX} bytes in all`,
  );
}

function checkAreas(
  areas: readonly MmapArea[],
  region: RegionInfo,
  what: string,
  guard: PluginGuard,
): void {
  const base = region.mmap?.areas ?? [];
  const valid =
    Array.isArray(areas) &&
    areValidAreas(areas, region.size) &&
    areas.every((area) => coversArea(base, area));
  if (valid) return;
  throw guard.nonsense(what, areas, "sorted, separate pages that the base lets a user map");
}
