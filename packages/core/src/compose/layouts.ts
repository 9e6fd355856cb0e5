import type { DeviceInfo, MmapArea, RegionInfo } from "../device/info.ts";
import { areValidAreas, coversArea, sameAreas, withoutStretches } from "../device/mmap-areas.ts";
import type { RegionFacet, RegionRange } from "../sub-driver/facets.ts";
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
  const areasOf = (region: RegionInfo, phase: "runtime" | "saving"): readonly MmapArea[] => {
    const facet = byIndex.get(region.index);
    const all = region.mmap?.areas ?? [];
    const base = phase === "runtime" ? all : (region.mmap?.saving ?? all);
    // Undeclared layouts are the base's, but a page with a trapped byte is never mapped past its trap.
    return facet === undefined
      ? base
      : (facet.mmap?.[phase] ?? withoutStretches(base, facet.trapped));
  };
  return layoutsOf(
    info.regions,
    info.regions.map((region) => ({
      runtime: areasOf(region, "runtime"),
      saving: areasOf(region, "saving"),
    })),
  );
}

/** `layouts` without the pages that `traps` touch, by region. */
export function narrow(
  layouts: Layouts,
  traps: ReadonlyMap<number, readonly RegionRange[]>,
): Layouts {
  const cut = (region: RegionInfo | undefined, index: number): readonly MmapArea[] =>
    withoutStretches(region?.mmap?.areas ?? [], traps.get(index) ?? []);
  return layoutsOf(
    // A region that only one of the two layouts lets a user map has its file there.
    layouts.runtime.map((region, i) => (region.mmap ? region : (layouts.saving[i] ?? region))),
    layouts.runtime.map((region, i) => ({
      runtime: cut(region, i),
      saving: cut(layouts.saving[i], i),
    })),
  );
}

/** True where some region can be mapped otherwise while the device is saved. */
export function differWhileSaving({ runtime, saving }: Layouts): boolean {
  return runtime.some(({ mmap }, i) => !sameAreas(mmap?.areas ?? [], saving[i]?.mmap?.areas ?? []));
}

interface Phases {
  readonly runtime: readonly MmapArea[];
  readonly saving: readonly MmapArea[];
}

function layoutsOf(regions: readonly RegionInfo[], phases: readonly Phases[]): Layouts {
  const runtime = regions.map((region, i) => {
    const { runtime: areas = [], saving = [] } = phases[i] ?? {};
    return withAreas(region, areas, sameAreas(areas, saving) ? undefined : saving);
  });
  const saving = regions.map((region, i) => withAreas(region, phases[i]?.saving ?? []));
  return { runtime, saving };
}

function withAreas(
  region: RegionInfo,
  areas: readonly MmapArea[],
  saving?: readonly MmapArea[],
): RegionInfo {
  const { mmap } = region;
  if (mmap === undefined) return region;
  return {
    ...region,
    mmap: areas.length === 0 ? undefined : { fd: mmap.fd, fdOffset: mmap.fdOffset, areas, saving },
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
  if (facet.adjustable !== undefined && typeof facet.adjustable !== "boolean") {
    throw guard.nonsense(`${what}, adjustable`, facet.adjustable, "true or false");
  }
  checkStart(facet, region.size, what, guard);
  checkDoorbells(facet, region.size, what, guard);
  for (const phase of ["runtime", "saving"] as const) {
    const areas = facet.mmap?.[phase];
    if (areas !== undefined) checkAreas(areas, region, `${what}, mmap.${phase}`, guard);
  }
}

function checkStart(facet: RegionFacet, size: number, what: string, guard: PluginGuard): void {
  const { startsTrapped, adjustable } = facet;
  if (startsTrapped === undefined) return;
  const may = adjustable === true || startsTrapped.length === 0;
  if (areRanges(startsTrapped, size) && may) return;
  throw guard.nonsense(
    `${what}, startsTrapped`,
    startsTrapped,
    `sorted, separate ranges inside ${size} bytes of a facet that is adjustable`,
  );
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
