import type {
  DeviceInfo,
  DmaLoggingFacet,
  DmaMapping,
  IovaRange,
  IrqEvent,
  IrqRequest,
  MigrationFacet,
  MigrationState,
  MmapArea,
  PrecopyInfo,
  RegionInfo,
  VfioDevice,
} from "@vfmig/core";
import { VfmigError } from "@vfmig/core";

/** Registers in BAR 0 of {@link MemoryDevice}; all else there is plain memory. */
export const REGISTER = {
  /** Write n: raises MSI-X vector n. */
  RAISE: 0x100,
  /** Write an address: the device stores 0xd0 in guest memory there, and logs the page. */
  STORE: 0x108,
  /** Write an irq index: raises its event, where {@link MemoryDeviceOptions.hostEvents} says that it has one. */
  TELL: 0x110,
} as const;

export const BAR_BYTES = 8192;
const CONFIG_BYTES = 256;
const PAGE = 4096;

/** Lets a test decide when something slow is done. */
export class Gate {
  #open = Promise.withResolvers<void>();

  wait(): Promise<void> {
    return this.#open.promise;
  }

  open(): void {
    this.#open.resolve();
  }
}

export interface MemoryDeviceOptions {
  /** Adds a mappable region 2 backed by this file. */
  readonly mmapFd?: number;
  /** It has a REQ event beside the ERR event, and `REGISTER.TELL` raises them. */
  readonly hostEvents?: boolean;
}

/** A device of plain memory with a doorbell, a way to store into the guest, and full facets. */
export class MemoryDevice implements VfioDevice {
  readonly info: DeviceInfo;
  readonly bar: Uint8Array = new Uint8Array(BAR_BYTES);
  readonly config: Uint8Array = new Uint8Array(CONFIG_BYTES);
  readonly mappings: Map<bigint, DmaMapping> = new Map();
  readonly vectors: (IrqEvent | undefined)[] = [];
  readonly irqRequests: IrqRequest[] = [];
  /** The events of ERR and REQ, by index. */
  readonly hostEvents: Map<number, IrqEvent> = new Map();
  readonly migration: MemoryMigration = new MemoryMigration(this);
  readonly dmaLogging: MemoryLogging = new MemoryLogging();
  /** Areas that a client holds mapped, as `region/offset`. */
  readonly noted: Set<string> = new Set();
  resets = 0;
  /** Unmapping waits for this gate where it is set. */
  unmapGate: Gate | undefined;
  resetGate: Gate | undefined;
  unmapFailure: Error | undefined;

  constructor(options: MemoryDeviceOptions = {}) {
    const view = new DataView(this.config.buffer);
    view.setUint16(0, 0x1af4, true);
    view.setUint16(2, 0x1100, true);
    view.setUint8(8, 3);
    view.setUint16(0x2c, 0x1af4, true);
    view.setUint16(0x2e, 0x77, true);
    // BAR 1 is ports, so that writes to it are never posted.
    view.setUint32(0x14, 1, true);
    this.info = {
      identity: { device: "memory", base: { name: "memory", version: "1.0.0" } },
      pci: true,
      resettable: true,
      regions: regions(options.mmapFd),
      irqs: [1, 0, 64, 1, options.hostEvents === true ? 1 : 0].map((count, index) => ({
        index,
        count,
        eventfd: true,
        maskable: index === 0,
        automasked: index === 0,
        noResize: false,
      })),
      iovaWindows: [{ first: 0n, last: 0xffff_ffff_ffff_ffffn }],
    };
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    into.set(this.#memory(index).subarray(offset, offset + into.length));
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (index === 0 && offset === REGISTER.RAISE) this.vectors[from[0] ?? 0]?.signal();
    else if (index === 0 && offset === REGISTER.STORE) this.#store(from);
    else if (index === 0 && offset === REGISTER.TELL) this.hostEvents.get(from[0] ?? 0)?.signal();
    else this.#memory(index).set(from, offset);
  }

  setIrqs(request: IrqRequest): void {
    this.irqRequests.push(request);
    if (request.index > 2) this.#setHostEvent(request);
    if (request.index !== 2 || request.action !== "trigger") return;
    if (request.count === 0) this.vectors.length = 0;
    for (let i = 0; i < request.count; i += 1) {
      const vector = request.start + i;
      if (request.data.kind === "event") this.vectors[vector] = request.data.events[i];
      else if (request.data.kind === "none" || request.data.values[i] === 1) {
        this.vectors[vector]?.signal();
      }
    }
  }

  mapDma(mapping: DmaMapping): void {
    this.mappings.set(mapping.iova, mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    if (this.unmapFailure !== undefined) throw this.unmapFailure;
    const gate = this.unmapGate;
    if (gate !== undefined) return gate.wait().then(() => void this.mappings.delete(range.iova));
    this.mappings.delete(range.iova);
  }

  noteMapping(index: number, area: MmapArea): Disposable {
    const note = `${index}/${area.offset}`;
    if (this.noted.has(note)) throw new Error(`noted twice: ${note}`);
    this.noted.add(note);
    return { [Symbol.dispose]: () => void this.noted.delete(note) };
  }

  async reset(): Promise<void> {
    this.resets += 1;
    this.migration.cancel();
    await this.resetGate?.wait();
    this.bar.fill(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #memory(index: number): Uint8Array {
    if (index === 0 || index === 1) return this.bar;
    if (index === 7) return this.config;
    throw new VfmigError("ERR_VFMIG_REGION_INDEX", `no region ${index}`, { layer: "testkit" });
  }

  #setHostEvent({ index, data, count }: IrqRequest): void {
    const event = data.kind === "event" ? data.events[0] : undefined;
    if (event !== undefined) this.hostEvents.set(index, event);
    else if (data.kind === "event" || count === 0) this.hostEvents.delete(index);
  }

  #store(from: Uint8Array): void {
    const address = new DataView(from.buffer, from.byteOffset, 4).getUint32(0, true);
    for (const { iova, size, memory, remote, write } of this.mappings.values()) {
      const at = BigInt(address) - iova;
      if (at < 0n || at >= size || !write) continue;
      if (memory !== undefined) memory.bytes[Number(at)] = 0xd0;
      else void remote?.write(BigInt(address), Uint8Array.of(0xd0)).catch(() => {});
      this.dmaLogging.dirty.add(Math.floor(address / PAGE));
    }
  }
}

function regions(mmapFd: number | undefined): RegionInfo[] {
  const sizes = [BAR_BYTES, 64, mmapFd === undefined ? 0 : 16_384, 0, 0, 0, 0, CONFIG_BYTES, 0];
  return sizes.map((size, index) => ({
    index,
    size,
    read: size > 0,
    write: size > 0,
    ...(index === 2 && mmapFd !== undefined
      ? {
          mmap: {
            fd: mmapFd,
            fdOffset: 4096n,
            areas: [
              { offset: 0, size: 4096 },
              { offset: 8192, size: 4096 },
            ],
          },
        }
      : {}),
  }));
}

/** Its state is BAR 0; any state can be set, and a gate can make that slow. */
export class MemoryMigration implements MigrationFacet {
  readonly capabilities: { readonly p2p: boolean; readonly preCopy: boolean } = {
    p2p: true,
    preCopy: true,
  };
  state: MigrationState = "running";
  /** A state change waits for this gate where it is set. */
  gate: Gate | undefined;
  /** Reading data waits for this gate where it is set. */
  readGate: Gate | undefined;
  readonly walked: MigrationState[] = [];
  readonly #device: MemoryDevice;
  #cancelled = Promise.withResolvers<never>();
  #read = 0;
  #written: number[] = [];

  constructor(device: MemoryDevice) {
    this.#device = device;
    this.#cancelled.promise.catch(() => {});
  }

  cancel(): void {
    this.#cancelled.reject(
      new VfmigError("ERR_VFMIG_MIGRATION_CANCELLED", "the device was reset", { layer: "testkit" }),
    );
    this.#cancelled = Promise.withResolvers<never>();
    this.#cancelled.promise.catch(() => {});
    this.state = "running";
  }

  async setState(target: MigrationState): Promise<void> {
    if (target === "error") {
      throw new VfmigError("ERR_VFMIG_MIGRATION_STATE", "error", { layer: "testkit" });
    }
    if (this.gate !== undefined) await Promise.race([this.gate.wait(), this.#cancelled.promise]);
    if (this.state === "resuming" && target === "stop") this.#device.bar.set(this.#written);
    this.#read = 0;
    this.#written = [];
    this.state = target;
    this.walked.push(target);
  }

  async readData(into: Uint8Array): Promise<number> {
    this.#needState("stop-copy");
    await this.readGate?.wait();
    const piece = this.#device.bar.subarray(this.#read, this.#read + into.length);
    into.set(piece);
    this.#read += piece.length;
    return piece.length;
  }

  async writeData(from: Uint8Array): Promise<void> {
    this.#needState("resuming");
    for (const byte of from) this.#written.push(byte);
  }

  async dataSize(): Promise<number> {
    return BAR_BYTES - this.#read;
  }

  async precopyInfo(): Promise<PrecopyInfo> {
    return { initialBytes: 11, dirtyBytes: 22, reinit: true };
  }

  #needState(state: MigrationState): void {
    if (this.state === state) return;
    throw new VfmigError("ERR_VFMIG_MIGRATION_SESSION", `in ${this.state}`, { layer: "testkit" });
  }
}

/** A log of the pages that the STORE register has touched. */
export class MemoryLogging implements DmaLoggingFacet {
  readonly dirty: Set<number> = new Set();
  started: { pageSize: number; ranges: readonly IovaRange[] } | undefined;

  async start(request: { pageSize: number; ranges: readonly IovaRange[] }): Promise<number> {
    this.started = request;
    this.dirty.clear();
    return PAGE;
  }

  async stop(): Promise<void> {
    this.started = undefined;
  }

  async report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    for (const page of this.dirty) {
      const at = BigInt(page * PAGE) - range.iova;
      if (at < 0n || at >= range.size) continue;
      const bit = Number(at / BigInt(pageSize));
      bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
      this.dirty.delete(page);
    }
  }
}
