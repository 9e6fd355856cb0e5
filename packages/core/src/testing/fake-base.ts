import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { DeviceInfo, IrqInfo, RegionInfo } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import { checkRegionAccess } from "../device/region-access.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { IrqVectors } from "../irqs/irq-vectors.ts";
import { DmaMap } from "../memory/dma-map.ts";

const SIZES = [0x4000, 0, 0, 0x2000, 0, 0, 0x1000, 0x1000, 0];

function region(size: number, index: number): RegionInfo {
  const mappable = index === 0 || index === 3;
  const areas = [{ offset: 0, size }];
  return {
    index,
    size,
    read: size > 0,
    write: size > 0 && index !== 6,
    mmap: mappable ? { fd: 7, fdOffset: 0n, areas } : undefined,
  };
}

const irq = (index: number, count: number, more: Partial<IrqInfo> = {}): IrqInfo => ({
  index,
  count,
  eventfd: true,
  maskable: false,
  automasked: false,
  noResize: false,
  ...more,
});

const INFO: DeviceInfo = {
  identity: {
    device: "nic0",
    base: { name: "fake", version: "1.0.0" },
    pci: {
      vendor: 0x8086,
      device: 0x154c,
      subsystemVendor: 0x8086,
      subsystemDevice: 0,
      revision: 2,
    },
  },
  pci: true,
  resettable: true,
  regions: SIZES.map(region),
  irqs: [
    irq(0, 1, { maskable: true, automasked: true }),
    irq(1, 2, { noResize: true }),
    irq(2, 4),
    irq(3, 1),
    irq(4, 1),
  ],
  iovaWindows: [
    { first: 0n, last: 0xfedf_ffffn },
    { first: 0xfef0_0000n, last: (1n << 39n) - 1n },
  ],
};

/** A base of plain bytes: it notes every call, and fails where a test says so. */
export class FakeBase implements VfioDevice {
  readonly info: DeviceInfo;
  readonly migration = undefined;
  readonly dmaLogging = undefined;
  readonly bytes: readonly Uint8Array[] = SIZES.map((size) => new Uint8Array(size));
  readonly irqs: IrqVectors = new IrqVectors(INFO.irqs, { pci: true, layer: "base" });
  readonly dma: DmaMap = new DmaMap(INFO.iovaWindows);
  readonly calls: string[] = [];
  readonly irqRequests: IrqRequest[] = [];
  /** What a named call throws, or waits for. */
  readonly fail = new Map<string, unknown>();
  readonly hold = new Map<string, Promise<void>>();
  disposed = false;

  constructor(info: Partial<DeviceInfo> = {}) {
    this.info = { ...INFO, ...info };
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#note("readRegion", `${index}:${offset}+${into.length}`);
    checkRegionAccess(INFO.regions, index, offset, into.length, "read", "base");
    into.set(this.bytes[index]?.subarray(offset, offset + into.length) ?? []);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#note("writeRegion", `${index}:${offset}+${from.length}`);
    checkRegionAccess(INFO.regions, index, offset, from.length, "write", "base");
    this.bytes[index]?.set(from, offset);
  }

  setIrqs(request: IrqRequest): void {
    this.#note("setIrqs", `${request.index}:${request.start}+${request.count}`);
    this.irqRequests.push(request);
    this.irqs.apply(request);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    this.#note("mapDma", `0x${mapping.iova.toString(16)}`);
    const held = this.hold.get("mapDma");
    if (held === undefined) return void this.dma.add(mapping);
    return held.then(() => void this.dma.add(mapping));
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    this.#note("unmapDma", `0x${range.iova.toString(16)}`);
    const entry = this.dma.exact(range);
    const held = this.hold.get("unmapDma");
    if (held === undefined) return this.dma.remove(entry);
    return held.then(() => this.dma.remove(entry));
  }

  async reset(): Promise<void> {
    this.#note("reset", "");
    await this.hold.get("reset");
    for (const bytes of this.bytes) bytes.fill(0);
    this.irqs.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#note("dispose", "");
    this.disposed = true;
  }

  /** The device raises a vector. */
  raise(index: number, vector: number): boolean {
    return this.irqs.signal(index, vector);
  }

  #note(name: string, what: string): void {
    this.calls.push(what === "" ? name : `${name} ${what}`);
    if (this.fail.has(name)) throw this.fail.get(name);
  }
}
