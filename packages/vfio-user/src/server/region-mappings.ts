import type { RegionInfo, VfioDevice } from "@vfmig/core";

/** What one client was given of the device's regions to map. */
export class RegionMappings {
  readonly #device: VfioDevice;
  /** By index, offset and size of the area. */
  readonly #notes = new Map<string, Disposable>();

  constructor(device: VfioDevice) {
    this.#device = device;
  }

  /**
   * Tells the device that the client holds the areas of `region` mapped from now on.
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where the layout has changed meanwhile
   */
  note(region: RegionInfo): void {
    for (const area of region.mmap?.areas ?? []) {
      const key = `${region.index}/${area.offset}/${area.size}`;
      if (this.#notes.has(key)) continue;
      const note = this.#device.noteMapping?.(region.index, area);
      if (note !== undefined) this.#notes.set(key, note);
    }
  }

  /** The client has gone, and its mappings with it. */
  forget(): void {
    for (const note of this.#notes.values()) note[Symbol.dispose]();
    this.#notes.clear();
  }
}
