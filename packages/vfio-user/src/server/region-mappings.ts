import { withoutRanges, type MappingNote, type MmapArea, type RegionInfo } from "@vfmig/core";
import type { VfioDevice } from "@vfmig/core";
import { refusal } from "../codec/errno.ts";

/** Pieces into which a client may cut what it was given; a real one needs a few. */
const MAX_PIECES = 1024;

/** An area that was handed out, and what the client has not said to be unmapped. */
interface Handed {
  readonly region: number;
  readonly note: MappingNote | undefined;
  areas: readonly MmapArea[];
}

/** What one client was given of the device's regions to map. */
export class RegionMappings {
  readonly #device: VfioDevice;
  readonly #holder: string;
  #handed: readonly Handed[] = [];

  /** @param holder - the client, for messages to people */
  constructor(device: VfioDevice, holder: string) {
    this.#device = device;
    this.#holder = holder;
  }

  /**
   * Tells the device that the client holds the areas of `region` mapped from now on.
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where the layout has changed meanwhile
   */
  note(region: RegionInfo): void {
    const given = region.mmap?.areas ?? [];
    const held = this.#handed.flatMap((each) => (each.region === region.index ? each.areas : []));
    for (const area of withoutRanges(given, held)) {
      const note = this.#device.noteMapping?.(region.index, area, this.#holder);
      this.#handed = [...this.#handed, { region: region.index, note, areas: [area] }];
    }
  }

  /**
   * The client does not map these areas of a region any more; undefined: nothing of it. What it was not
   * given, or has said before, changes nothing.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` for crumbs beyond what any client needs
   */
  release(region: number, areas: readonly MmapArea[] | undefined): void {
    const cut = this.#handed.map((each) =>
      each.region !== region
        ? each.areas
        : areas === undefined
          ? []
          : withoutRanges(each.areas, areas),
    );
    const pieces = cut.reduce((sum, { length }) => sum + length, 0);
    if (pieces > MAX_PIECES) {
      throw refusal("ENOSPC", `REGION_UNMAPPED: more than ${MAX_PIECES} pieces would be left`, {
        region,
      });
    }
    for (const [i, each] of this.#handed.entries()) {
      const rest = cut[i] ?? [];
      if (rest.length === 0) each.note?.[Symbol.dispose]();
      else if (rest !== each.areas) for (const area of areas ?? []) each.note?.release?.(area);
      each.areas = rest;
    }
    this.#handed = this.#handed.filter((each) => each.areas.length > 0);
  }

  /** The client has gone, and its mappings with it. */
  forget(): void {
    for (const { note } of this.#handed) note?.[Symbol.dispose]();
    this.#handed = [];
  }
}
