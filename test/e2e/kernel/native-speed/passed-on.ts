import type {
  DeviceInfo,
  DmaLoggingFacet,
  DmaMapping,
  IovaRange,
  IrqRequest,
  MappingNote,
  MigrationFacet,
  MmapArea,
  VfioDevice,
} from "@vfmig/core";

/** A device that is another one; subclasses take over what they change or count. */
export class PassedOn implements VfioDevice {
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

  noteMapping(index: number, area: MmapArea, holder?: string): MappingNote {
    return this.device.noteMapping?.(index, area, holder) ?? { [Symbol.dispose]() {} };
  }

  reset(): Promise<void> {
    return this.device.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.device[Symbol.asyncDispose]();
  }
}
