import {
  PCI_REGION,
  type DeviceInfo,
  type DmaLoggingFacet,
  type DmaMapping,
  type IovaRange,
  type IrqEvent,
  type IrqRequest,
  type MigrationFacet,
  type VfioDevice,
} from "@vfmig/core";

/** PCI command register (PCI Local Bus 3.0, 6.2.2). */
const COMMAND = 4;

/**
 * The slot in which a guest sees its device, whichever host serves it. A VMM keeps what the guest set
 * up through it (vectors, the command register) and sets it up again when another device takes the place.
 */
export class VirtualSlot implements VfioDevice {
  #device: VfioDevice;
  readonly #vectors = new Map<number, (IrqEvent | undefined)[]>();

  constructor(device: VfioDevice) {
    this.#device = device;
  }

  get info(): DeviceInfo {
    return this.#device.info;
  }

  get migration(): MigrationFacet | undefined {
    return this.#device.migration;
  }

  get dmaLogging(): DmaLoggingFacet | undefined {
    return this.#device.dmaLogging;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#device.readRegion(index, offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#device.writeRegion(index, offset, from);
  }

  setIrqs(request: IrqRequest): void {
    this.#device.setIrqs(request);
    if (request.action !== "trigger") return;
    if (request.data.kind === "none" && request.count === 0) this.#vectors.delete(request.index);
    if (request.data.kind !== "event") return;
    const vectors = this.#vectors.get(request.index) ?? [];
    for (const [i, event] of request.data.events.entries()) vectors[request.start + i] = event;
    this.#vectors.set(request.index, vectors);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    return this.#device.mapDma(mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    return this.#device.unmapDma(range);
  }

  reset(): Promise<void> {
    return this.#device.reset();
  }

  /** Gives `next` the vectors and the command register that the guest had set on this slot's device. */
  prepare(next: VfioDevice): void {
    const command = new Uint8Array(2);
    this.#device.readRegion(PCI_REGION.CONFIG, COMMAND, command);
    next.writeRegion(PCI_REGION.CONFIG, COMMAND, command);
    for (const [index, events] of this.#vectors) {
      const data = { kind: "event", events: [...events] } as const;
      next.setIrqs({ index, start: 0, count: events.length, action: "trigger", data });
    }
  }

  /** Puts `next` into the slot; the vectors of the device before it are taken away. */
  replace(next: VfioDevice): void {
    const before = this.#device;
    this.#device = next;
    for (const index of this.#vectors.keys()) {
      before.setIrqs({ index, start: 0, count: 0, action: "trigger", data: { kind: "none" } });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#device[Symbol.asyncDispose]();
  }
}
