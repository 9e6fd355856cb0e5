import { VfmigError } from "../errors/vfmig-error.ts";
import type { MmapArea, RegionInfo } from "./info.ts";
import { coversArea } from "./mmap-areas.ts";
import { overlap, withoutRanges, type Stretch } from "./stretches.ts";
import type { MappingNote } from "./vfio-device.ts";

/** One area that a user was given, and what it still holds of it. */
interface Mapping {
  readonly region: number;
  readonly holder: string;
  areas: readonly MmapArea[];
}

/** A part of a region that somebody holds mapped. */
export interface HeldArea {
  readonly region: number;
  readonly area: MmapArea;
  readonly holder: string;
}

/** The areas of regions that users hold mapped, so that a change of layout can be refused. */
export class MappingTracker {
  readonly #mappings = new Set<Mapping>();
  readonly #onRelease = new Set<() => void>();

  get size(): number {
    return this.#mappings.size;
  }

  /**
   * Notes an area that is handed out; dispose the answer when it is no longer mapped.
   *
   * @param regions - with the layout in force
   * @param holder - who has it, for messages
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where that layout does not hold all of it
   */
  note(
    regions: readonly RegionInfo[],
    region: number,
    area: MmapArea,
    holder: string = "a user of the device",
  ): Required<MappingNote> {
    const areas = regions[region]?.mmap?.areas ?? [];
    if (!isStretch(area) || !coversArea(areas, area)) {
      throw new VfmigError(
        "ERR_VFMIG_MAPPING_REFUSED",
        `Region ${String(region)} cannot be mapped at ${place(area)}: ` +
          `the layout in force has ${areas.length === 0 ? "no area" : areas.map(place).join(", ")}.`,
        { layer: "core", details: { region, area, areas, errno: "EINVAL" } },
      );
    }
    const { offset, size } = area;
    const mapping: Mapping = { region, holder, areas: [{ offset, size }] };
    this.#mappings.add(mapping);
    return {
      release: (part) => this.#keep(mapping, withoutRanges(mapping.areas, [part])),
      [Symbol.dispose]: () => this.#keep(mapping, []),
    };
  }

  /**
   * @param regions - with the layout that shall be in force
   * @param what - what is refused, for the message
   * @throws VfmigError `ERR_VFMIG_MAPPING_CONFLICT` naming the first mapping that it does not allow
   */
  refuseConflicts(regions: readonly RegionInfo[], what: string): void {
    for (const { region, holder, areas } of this.#mappings) {
      const allowed = regions[region]?.mmap?.areas ?? [];
      const area = areas.find((each) => !coversArea(allowed, each));
      if (area !== undefined) throw mappingConflict({ region, area, holder }, what);
    }
  }

  /** The first mapping of a region that touches one of `ranges`. */
  holding(region: number, ranges: readonly Stretch[]): HeldArea | undefined {
    for (const mapping of this.#mappings) {
      if (mapping.region !== region) continue;
      const area = mapping.areas.find((each) => overlap([each], ranges));
      if (area !== undefined) return { region, area, holder: mapping.holder };
    }
    return undefined;
  }

  /** Calls back whenever somebody has let go of something; returns a function that ends it. */
  onRelease(callback: () => void): () => void {
    this.#onRelease.add(callback);
    return () => void this.#onRelease.delete(callback);
  }

  #keep(mapping: Mapping, areas: readonly MmapArea[]): void {
    mapping.areas = areas;
    if (areas.length === 0) this.#mappings.delete(mapping);
    for (const callback of this.#onRelease) callback();
  }
}

/** The refusal of `what`, naming the mapping that is in its way. */
export function mappingConflict({ region, area, holder }: HeldArea, what: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MAPPING_CONFLICT",
    `Cannot ${what}: region ${region} is still mapped at ${place(area)} by ${holder}, ` +
      "where accesses must be seen from now on. Unmap it and ask again.",
    { layer: "core", details: { region, area, holder, errno: "EBUSY" } },
  );
}

/** An area in messages to people: `0x1000+0x2000`. */
export function place(area: Stretch): string {
  return `0x${area.offset.toString(16)}+0x${area.size.toString(16)}`;
}

function isStretch(area: MmapArea): boolean {
  return (
    Number.isSafeInteger(area.offset) &&
    Number.isSafeInteger(area.size) &&
    area.offset >= 0 &&
    area.size > 0
  );
}
