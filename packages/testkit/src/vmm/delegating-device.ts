import type {
  AsyncRegion,
  DeviceInfo,
  DeviceInput,
  DmaLoggingFacet,
  DmaMapping,
  IovaRange,
  IrqRequest,
  MigrationFacet,
  MmapArea,
  MappingNote,
  VfioDevice,
} from "@vfmig/core";

/** A device that is another one; subclasses override what they change or count. */
export class DelegatingDevice implements VfioDevice {
  protected readonly device: VfioDevice;

  constructor(device: VfioDevice) {
    this.device = device;
  }

  get info(): DeviceInfo {
    return this.device.info;
  }

  get migration(): MigrationFacet | undefined {
    return this.device.migration;
  }

  get dmaLogging(): DmaLoggingFacet | undefined {
    return this.device.dmaLogging;
  }

  get input(): DeviceInput | undefined {
    return this.device.input;
  }

  get asyncRegions(): ReadonlyMap<number, AsyncRegion> | undefined {
    return this.device.asyncRegions;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.device.readRegion(index, offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.device.writeRegion(index, offset, from);
  }

  setIrqs(request: IrqRequest): void {
    this.device.setIrqs(request);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    return this.device.mapDma(mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    return this.device.unmapDma(range);
  }

  reset(): Promise<void> {
    return this.device.reset();
  }

  noteMapping(index: number, area: MmapArea, holder?: string): MappingNote {
    return this.device.noteMapping?.(index, area, holder) ?? { [Symbol.dispose]() {} };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.device[Symbol.asyncDispose]();
  }
}
