import type { FakeDevice, FakeIo } from "@vfmig/linux/fake";
import type { IoctlPointer } from "@vfmig/linux";
import { DEVICE } from "../../uapi/commands.ts";
import { no, taken } from "./errno.ts";
import { answerFeature } from "./features.ts";
import {
  answerHotReset,
  answerHotResetInfo,
  answerInfo,
  answerIrqInfo,
  answerRegionInfo,
} from "./infos.ts";
import { Interrupts, type FakeIrq } from "./interrupts.ts";
import type { IoPages } from "./io-pages.ts";
import { FakeIommufd } from "./iommufd.ts";
import type { Trace } from "./trace.ts";
import { VariantDriver, type VariantSettings } from "./variant-driver.ts";
import { WriteLog } from "./write-log.ts";

export interface FakeRegion {
  readonly memory: Uint8Array;
  readonly flags: number;
  readonly sparse?: readonly { readonly offset: number; readonly size: number }[];
  readonly msixMappable?: boolean;
}

export interface FunctionSettings {
  readonly name: string;
  readonly regions: readonly (FakeRegion | undefined)[];
  readonly irqs: readonly FakeIrq[];
  readonly pci?: boolean;
  readonly functionReset?: boolean;
  /** Who a reset of the bus reaches: address bytes and group. */
  readonly bus?: readonly {
    readonly group: number;
    readonly devfn: number;
    readonly owned: boolean;
  }[];
  readonly variant?: VariantSettings;
  readonly logsWrites?: boolean;
  readonly lowPower?: boolean;
  readonly exportsRegions?: boolean;
  /** True for a full function, whose memory answers only while its command register says so. */
  readonly memoryEnable?: boolean;
}

/** Where a region begins in the device's file; the shift is not the same for every driver. */
export const REGION_SHIFT = 2 ** 40;
const COMMAND = 4;

/** One device of the kernel, with the hands of a test on it. */
export class FakeFunction {
  readonly settings: FunctionSettings;
  readonly interrupts: Interrupts;
  readonly log = new WriteLog();
  readonly variant: VariantDriver | undefined;
  readonly io: FakeIo;
  readonly trace: Trace;
  opened = false;
  bound = false;
  gone = false;
  /** A driver of the host has another device of this one's group. */
  groupTaken = false;
  asleep = false;
  resets = 0;
  busResets = 0;
  /** Resets that answer EAGAIN first. */
  busyResets = 0;
  token: string | undefined;
  #pages: (() => IoPages | undefined) | undefined;

  constructor(io: FakeIo, trace: Trace, settings: FunctionSettings) {
    this.io = io;
    this.trace = trace;
    this.settings = settings;
    this.interrupts = new Interrupts(io, settings.irqs);
    const memory = settings.regions[0]?.memory.subarray(0, 64) ?? new Uint8Array(64);
    const { variant } = settings;
    this.variant =
      variant === undefined ? undefined : new VariantDriver(io, trace, memory, variant);
  }

  get name(): string {
    return this.settings.name;
  }

  get pages(): IoPages | undefined {
    return this.#pages?.();
  }

  get busMaster(): boolean {
    return ((this.settings.regions[7]?.memory[COMMAND] ?? 0) & 4) !== 0;
  }

  /** The device writes to the guest's memory; false where that is an IOMMU fault. */
  dma(iova: bigint): boolean {
    if (!this.busMaster) return false;
    const written = this.pages?.write(iova) ?? false;
    if (written) this.log.write(iova);
    return written;
  }

  checkToken(token: string | undefined): number {
    if (this.token === undefined) return token === undefined ? 0 : no("EINVAL");
    return this.token === token ? 0 : no("EACCES");
  }

  open(pages: IoPages): FakeDevice {
    this.#pages = () => pages;
    return new FunctionFile(this, undefined);
  }

  openByFile(): FakeDevice | number {
    return new FunctionFile(this, "unbound");
  }

  bindTo(iommufd: FakeIommufd, deviceId: number): void {
    this.bound = true;
    this.#pages = () => iommufd.pagesOf(deviceId);
  }

  reset(): number {
    if (this.busyResets > 0) {
      this.busyResets -= 1;
      return no("EAGAIN");
    }
    this.resets += 1;
    this.variant?.reset();
    this.log.reset();
    return 0;
  }

  closed(): void {
    this.opened = false;
    this.bound = false;
    this.interrupts.close();
    this.variant?.reset();
    this.log.reset();
  }
}

/** A descriptor of the device. By its own file it knows nothing but BIND at first. */
export class FunctionFile implements FakeDevice {
  readonly fn: FakeFunction;
  #bind: "unbound" | { readonly iommufd: FakeIommufd; readonly id: number } | undefined;

  constructor(fn: FakeFunction, bind: "unbound" | undefined) {
    this.fn = fn;
    this.#bind = bind;
    if (bind === undefined) fn.opened = true;
  }

  ioctl(request: number, argument: Uint8Array | number, pointers: readonly IoctlPointer[]): number {
    this.fn.trace.note("device", request);
    if (this.fn.gone) return no("ENODEV");
    if (request === DEVICE.BIND_IOMMUFD.number) return this.#bindIommufd(argument, pointers);
    if (this.#bind === "unbound") return no("EINVAL");
    switch (request) {
      case DEVICE.GET_INFO.number:
        return answerInfo(this.fn, argument);
      case DEVICE.GET_REGION_INFO.number:
        return answerRegionInfo(this.fn, argument);
      case DEVICE.GET_IRQ_INFO.number:
        return answerIrqInfo(this.fn, argument);
      case DEVICE.SET_IRQS.number: {
        const view = taken(argument, 20);
        return view === undefined ? no("EINVAL") : this.fn.interrupts.set(view);
      }
      case DEVICE.RESET.number:
        // A driver with migration knows the request, whether or not it says so.
        if (this.fn.settings.functionReset === false && this.fn.variant === undefined) {
          return no("EINVAL");
        }
        return this.fn.reset();
      case DEVICE.GET_PCI_HOT_RESET_INFO.number:
        return answerHotResetInfo(this.fn, argument, this.#bind !== undefined);
      case DEVICE.PCI_HOT_RESET.number:
        return answerHotReset(this.fn, argument, this.#bind !== undefined);
      case DEVICE.FEATURE.number:
        return answerFeature(this.fn, argument, pointers);
      case DEVICE.ATTACH_IOMMUFD_PT.number:
      case DEVICE.DETACH_IOMMUFD_PT.number:
        return this.#attach(request, argument);
      default:
        return no("ENOTTY");
    }
  }

  pread(position: number, into: Uint8Array): number {
    const place = this.#place(position, into.length);
    if (typeof place === "number") return place;
    if ((place.flags & 1) === 0) return no("EINVAL");
    // Never more than eight bytes at a time: callers have to go on.
    const part = place.bytes.subarray(0, Math.min(8, into.length));
    into.set(part);
    return part.length;
  }

  pwrite(position: number, from: Uint8Array): number {
    const place = this.#place(position, from.length);
    if (typeof place === "number") return place;
    if ((place.flags & 2) === 0) return no("EINVAL");
    const part = from.subarray(0, Math.min(8, from.length));
    place.bytes.set(part);
    return part.length;
  }

  mmap(offset: bigint, size: number): Uint8Array | number {
    const index = Math.floor(Number(offset) / REGION_SHIFT);
    const at = Number(offset) % REGION_SHIFT;
    const region = this.fn.settings.regions[index];
    if (region === undefined || (region.flags & 4) === 0 || this.#bind === "unbound")
      return no("EINVAL");
    if (at + size > region.memory.length) return no("EINVAL");
    return region.memory.subarray(at, at + size);
  }

  closed(): void {
    if (this.#bind === "unbound") return;
    if (this.#bind !== undefined) this.#bind.iommufd.attached.delete(this.#bind.id);
    this.fn.closed();
  }

  #place(
    position: number,
    length: number,
  ): number | { readonly bytes: Uint8Array; readonly flags: number } {
    if (this.#bind === "unbound") return no("EINVAL");
    if (this.fn.gone) return no("ENODEV");
    const index = Math.floor(position / REGION_SHIFT);
    const at = position % REGION_SHIFT;
    const region = this.fn.settings.regions[index];
    if (region === undefined || at >= region.memory.length) return no("EINVAL");
    const config = this.fn.settings.regions[7]?.memory;
    const off = this.fn.settings.memoryEnable === true && ((config?.[COMMAND] ?? 0) & 2) === 0;
    if (off && index < 6) return no("EIO");
    return { bytes: region.memory.subarray(at, at + length), flags: region.flags };
  }

  #bindIommufd(argument: Uint8Array | number, pointers: readonly IoctlPointer[]): number {
    const view = taken(argument, 16);
    if (view === undefined || this.#bind !== "unbound") return no("EINVAL");
    if ((view.getUint32(4, true) & ~1) !== 0) return no("EINVAL");
    const iommufd = this.fn.io.deviceBehind(view.getInt32(8, true));
    if (!(iommufd instanceof FakeIommufd) || this.fn.bound) return no("EINVAL");
    if (this.fn.opened) return no("EBUSY");
    if (this.fn.groupTaken) return no("EPERM");
    const bytes = pointers.find(({ at }) => at === 16)?.memory;
    const token =
      (view.getUint32(4, true) & 1) === 0 || bytes === undefined ? undefined : uuidText(bytes);
    const refused = this.fn.checkToken(token);
    if (refused !== 0) return refused;
    const id = this.fn.settings.pci === false ? 0 : iommufd.newId();
    if (id !== 0) iommufd.devices.add(id);
    this.#bind = { iommufd, id };
    this.fn.bindTo(iommufd, id);
    view.setUint32(12, id, true);
    return 0;
  }

  #attach(request: number, argument: Uint8Array | number): number {
    if (this.#bind === undefined || this.#bind === "unbound") return no("ENOTTY");
    const { iommufd, id } = this.#bind;
    if (request === DEVICE.DETACH_IOMMUFD_PT.number) {
      if (taken(argument, 8) === undefined) return no("EINVAL");
      iommufd.attached.delete(id);
      return 0;
    }
    const view = taken(argument, 12);
    return view === undefined ? no("EINVAL") : iommufd.attach(id, view.getUint32(8, true));
  }
}

function uuidText(bytes: Uint8Array): string {
  const hex = [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
