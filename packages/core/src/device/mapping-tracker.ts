import { VfmigError } from "../errors/vfmig-error.ts";
import type { MmapArea, RegionInfo } from "./info.ts";
import { coversArea } from "./mmap-areas.ts";

interface Mapping {
  readonly region: number;
  readonly area: MmapArea;
}

/** The areas of regions that users hold mapped, so that a change of layout can be refused. */
export class MappingTracker {
  readonly #mappings = new Set<Mapping>();

  get size(): number {
    return this.#mappings.size;
  }

  /**
   * Notes an area that is handed out; dispose the answer when it is no longer mapped.
   *
   * @param regions - with the layout in force
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where that layout does not hold all of it
   */
  note(regions: readonly RegionInfo[], region: number, area: MmapArea): Disposable {
    const areas = regions[region]?.mmap?.areas ?? [];
    if (!isStretch(area) || !coversArea(areas, area)) {
      throw new VfmigError(
        "ERR_VFMIG_MAPPING_REFUSED",
        `Region ${String(region)} cannot be mapped at ${place(area)}: ` +
          `the layout in force has ${areas.length === 0 ? "no area" : areas.map(place).join(", ")}.`,
        { layer: "core", details: { region, area, areas, errno: "EINVAL" } },
      );
    }
    const mapping: Mapping = { region, area: { offset: area.offset, size: area.size } };
    this.#mappings.add(mapping);
    return { [Symbol.dispose]: () => void this.#mappings.delete(mapping) };
  }

  /**
   * @param regions - with the layout that shall be in force
   * @param what - what is refused, for the message
   * @throws VfmigError `ERR_VFMIG_MAPPING_CONFLICT` naming the first mapping that it does not allow
   */
  refuseConflicts(regions: readonly RegionInfo[], what: string): void {
    for (const { region, area } of this.#mappings) {
      if (coversArea(regions[region]?.mmap?.areas ?? [], area)) continue;
      throw new VfmigError(
        "ERR_VFMIG_MAPPING_CONFLICT",
        `Cannot ${what}: region ${region} is still mapped at ${place(area)}, ` +
          "where accesses must be seen from now on. Unmap it and ask again.",
        { layer: "core", details: { region, area, errno: "EBUSY" } },
      );
    }
  }
}

function isStretch(area: MmapArea): boolean {
  return (
    Number.isSafeInteger(area.offset) &&
    Number.isSafeInteger(area.size) &&
    area.offset >= 0 &&
    area.size > 0
  );
}

function place(area: MmapArea): string {
  return `0x${area.offset.toString(16)}+0x${area.size.toString(16)}`;
}
