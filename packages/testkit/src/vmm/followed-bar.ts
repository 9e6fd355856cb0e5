import { PCI_REGION, type MmapArea, type VfioDevice } from "@vfmig/core";
import type { MappedMemory } from "@vfmig/linux";
import type { VfioUserClient } from "@vfmig/vfio-user";
import { DelegatingDevice } from "./delegating-device.ts";

const BAR0 = PCI_REGION.BAR0;

interface Mapped {
  readonly area: MmapArea;
  /** Whole registers, which are loaded and stored at once. */
  readonly words: Uint32Array;
  readonly memory: MappedMemory;
}

/**
 * A served device whose BAR0 is mapped as far as its layout allows at each time: asked to let go it does so,
 * says so, and reaches those registers by messages; allowed again, it maps them again. Registers are 32 bits
 * wide and aligned; any other access is a message.
 */
export class FollowedBar extends DelegatingDevice {
  readonly #client: VfioUserClient;
  #mapped: readonly Mapped[] = [];
  /** Loads and stores so far. */
  accesses = 0;
  /** Layouts that it was asked to fetch. */
  layouts = 0;
  #onLayout: () => void = () => {};

  private constructor(client: VfioUserClient, device: VfioDevice) {
    super(device);
    this.#client = client;
  }

  /** @param client - that asks for the files of regions */
  static async follow(client: VfioUserClient): Promise<FollowedBar> {
    const bar = new FollowedBar(client, client.device);
    await client.onLayoutChange(async () => {
      bar.layouts += 1;
      // The client has unmapped what was lost; the server hears of it when this has settled.
      bar.#mapped = bar.#mapped.filter(({ words }) => words.length > 0);
      await bar.#map();
      bar.#onLayout();
    });
    await bar.#map();
    return bar;
  }

  get areas(): readonly MmapArea[] {
    return this.#mapped.map(({ area }) => area);
  }

  /** Settles when some page is mapped, or none is. */
  async until(mapped: boolean): Promise<void> {
    while (this.#mapped.length > 0 !== mapped) {
      // oxlint-disable-next-line no-await-in-loop -- one layout after the other
      await new Promise<void>((resolve) => (this.#onLayout = resolve));
    }
  }

  override readRegion(index: number, offset: number, into: Uint8Array): void {
    const mapped = this.#at(index, offset, into.length);
    if (mapped === undefined) return super.readRegion(index, offset, into);
    const word = mapped.words[(offset - mapped.area.offset) / 4] ?? 0;
    for (let i = 0; i < 4; i += 1) into[i] = (word >>> (8 * i)) & 0xff;
  }

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    const mapped = this.#at(index, offset, from.length);
    if (mapped === undefined) return super.writeRegion(index, offset, from);
    let word = 0;
    for (let i = 0; i < 4; i += 1) word |= (from[i] ?? 0) << (8 * i);
    mapped.words[(offset - mapped.area.offset) / 4] = word >>> 0;
  }

  #at(index: number, offset: number, width: number): Mapped | undefined {
    if (index !== BAR0 || width !== 4 || offset % 4 !== 0) return undefined;
    for (const mapped of this.#mapped) {
      const { area } = mapped;
      if (offset < area.offset || offset >= area.offset + area.size) continue;
      this.accesses += 1;
      return mapped;
    }
    return undefined;
  }

  async #map(): Promise<void> {
    for (const area of this.#client.info.regions[BAR0]?.mmap?.areas ?? []) {
      if (this.#mapped.some((each) => each.area.offset === area.offset)) continue;
      // oxlint-disable-next-line no-await-in-loop -- areas are few
      const memory = await this.#client.mapRegion(BAR0, area);
      const { buffer, byteOffset, byteLength } = memory.bytes;
      const words = new Uint32Array(buffer, byteOffset, byteLength / 4);
      this.#mapped = [...this.#mapped, { area, words, memory }];
    }
  }
}
