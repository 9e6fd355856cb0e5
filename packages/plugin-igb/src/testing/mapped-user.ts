import {
  type Clock,
  type ComposedDevice,
  coversArea,
  type DeviceInfo,
  type DmaMapping,
  hasType,
  IRQ_TYPE,
  type IovaRange,
  type IrqRequest,
  type MappingNote,
  type MmapArea,
  PCI_REGION,
  type VfioDevice,
} from "@vfmig/core";
import { OWN_FROM } from "../shadow/pages.ts";

const BAR0 = PCI_REGION.BAR0;

/** A VMM that maps what it may of BAR0: accesses there go to the card, past core and plugin. */
export class MappedUser implements VfioDevice {
  /** Accesses of mapped pages, and those by message of the pages that a guest may have to itself. */
  mapped = 0;
  messages = 0;
  /** It is asked to let go, and does not. */
  stubborn = false;
  readonly #device: ComposedDevice;
  readonly #base: VfioDevice;
  #held: { readonly area: MmapArea; readonly note: MappingNote }[] = [];

  constructor(device: ComposedDevice, base: VfioDevice, clock: Clock) {
    this.#device = device;
    this.#base = base;
    this.#map();
    const irq = device.info.irqs.find(({ type }) => hasType(type, IRQ_TYPE.LAYOUT));
    if (irq === undefined) return;
    const look = (): void => void clock.soon(() => this.#look());
    const data = { kind: "event", events: [{ signal: look }] } as const;
    device.setIrqs({ index: irq.index, start: 0, count: 1, action: "trigger", data });
  }

  get info(): DeviceInfo {
    return this.#device.info;
  }

  get migration(): VfioDevice["migration"] {
    return this.#device.migration;
  }

  get dmaLogging(): VfioDevice["dmaLogging"] {
    return this.#device.dmaLogging;
  }

  get areas(): readonly MmapArea[] {
    return this.#held.map(({ area }) => area);
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#reach(index, offset, into.length).readRegion(index, offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#reach(index, offset, from.length).writeRegion(index, offset, from);
  }

  setIrqs(request: IrqRequest): void {
    this.#device.setIrqs(request);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    return this.#device.mapDma(mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    return this.#device.unmapDma(range);
  }

  async reset(): Promise<void> {
    await this.#device.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#device[Symbol.asyncDispose]();
  }

  #reach(index: number, offset: number, size: number): VfioDevice {
    if (index !== BAR0) return this.#device;
    if (coversArea(this.areas, { offset, size })) {
      this.mapped++;
      return this.#base;
    }
    if (offset >= OWN_FROM) this.messages++;
    return this.#device;
  }

  #map(): void {
    for (const area of this.#device.info.regions[BAR0]?.mmap?.areas ?? []) {
      if (coversArea(this.areas, area)) continue;
      this.#held.push({ area, note: this.#device.noteMapping(BAR0, area, "the VMM") });
    }
  }

  #look(): void {
    const allowed = this.#device.info.regions[BAR0]?.mmap?.areas ?? [];
    if (!this.stubborn) {
      const lost = this.#held.filter(({ area }) => !coversArea(allowed, area));
      this.#held = this.#held.filter(({ area }) => coversArea(allowed, area));
      for (const { note } of lost) note[Symbol.dispose]();
    }
    this.#map();
  }
}
