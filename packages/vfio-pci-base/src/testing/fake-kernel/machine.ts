import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeIo, type FakeIo } from "@vfmig/linux/fake";
import { configSpace, type ConfigSettings } from "./config-space.ts";
import { FakeContainer } from "./container.ts";
import { no } from "./errno.ts";
import { FakeFunction, type FakeRegion, type FunctionSettings } from "./function.ts";
import { FakeGroup } from "./group.ts";
import { FakeIommufd } from "./iommufd.ts";
import { IoPages } from "./io-pages.ts";
import { Trace } from "./trace.ts";

export interface MachineSettings {
  /** Offer `/dev/iommu` and a file for each device. */
  readonly iommufd?: boolean;
  readonly dirtyTracking?: boolean;
  readonly memoryLock?: { readonly soft: bigint; readonly hard: bigint };
  /** A kernel whose container lists no IOVA ranges. */
  readonly oldKernel?: boolean;
  readonly interruptRemapping?: boolean;
}

export interface DeviceSettings extends Partial<FunctionSettings>, Partial<ConfigSettings> {
  /** PCI address, or a UUID for a mediated device. */
  readonly address: string;
  /** Undefined: no IOMMU. */
  readonly group?: number | undefined;
  /** Undefined: none. Default `vfio-pci`. */
  readonly driver?: string | undefined;
}

/** A machine with the kernel's VFIO: a folder as sysfs and dev, and the files behind it in memory. */
export class FakeMachine implements Disposable {
  readonly io: FakeIo;
  readonly trace: Trace = new Trace();
  readonly root: string;
  readonly groups = new Map<number, FakeGroup>();
  readonly #settings: MachineSettings;
  #cdevs = 0;

  constructor(settings: MachineSettings = {}) {
    this.#settings = settings;
    this.io = createFakeIo(
      settings.memoryLock === undefined ? {} : { memoryLock: settings.memoryLock },
    );
    this.root = mkdtempSync(join(tmpdir(), "vfmig-machine-"));
    mkdirSync(join(this.root, "dev/vfio/devices"), { recursive: true });
    mkdirSync(join(this.root, "sys/bus/pci/devices"), { recursive: true });
    mkdirSync(join(this.root, "proc"));
    const limit = (): bigint => this.io.memoryLockLimit();
    this.#device("dev/vfio/vfio", () => {
      const { oldKernel = false, interruptRemapping = true } = settings;
      return new FakeContainer(new IoPages(limit), this.trace, { oldKernel, interruptRemapping });
    });
    if (settings.iommufd !== true) return;
    const { dirtyTracking = false } = settings;
    this.#device("dev/iommu", () => new FakeIommufd(this.trace, limit, dirtyTracking));
  }

  get roots(): { readonly sysfs: string; readonly dev: string; readonly proc: string } {
    const at = (name: string): string => join(this.root, name);
    return { sysfs: at("sys"), dev: at("dev"), proc: at("proc") };
  }

  /** Adds a device: in sysfs, in its group, and as a file. */
  add(settings: DeviceSettings): FakeFunction {
    const driver = "driver" in settings ? settings.driver : "vfio-pci";
    const { address } = settings;
    const mdev = address.length > 20;
    const folder = join(this.root, "sys/bus", mdev ? "mdev" : "pci", "devices", address);
    mkdirSync(folder, { recursive: true });
    const fn = new FakeFunction(this.io, this.trace, functionSettings(settings, mdev));
    this.#describe(folder, settings, driver);
    if (settings.group !== undefined) this.#addToGroup(folder, settings.group, fn);
    if (this.#settings.iommufd === true && driver !== undefined) this.#addFile(folder, fn);
    return fn;
  }

  /** What is still open after everything was closed; 0 where nothing leaks. */
  get openFds(): number {
    return this.io.openFds;
  }

  /** Fails where a descriptor is still open. */
  assertClosed(): void {
    if (this.openFds > 0) throw new Error(`${this.openFds} descriptors were leaked`);
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #describe(folder: string, settings: DeviceSettings, driver: string | undefined): void {
    const { vendor = 0x8086, device = 0x10ca } = settings;
    const hex = (value: number): string => `0x${value.toString(16).padStart(4, "0")}\n`;
    writeFileSync(join(folder, "vendor"), hex(vendor));
    writeFileSync(join(folder, "device"), hex(device));
    writeFileSync(join(folder, "subsystem_vendor"), hex(settings.subsystemVendor ?? vendor));
    writeFileSync(join(folder, "subsystem_device"), hex(settings.subsystemDevice ?? device));
    writeFileSync(join(folder, "revision"), "0x01\n");
    writeFileSync(join(folder, "class"), "0x020000\n");
    writeFileSync(join(folder, "driver_override"), "(null)\n");
    if (driver === undefined) return;
    const drivers = join(this.root, "sys/bus/pci/drivers", driver);
    mkdirSync(drivers, { recursive: true });
    symlinkSync(drivers, join(folder, "driver"));
  }

  #addToGroup(folder: string, number: number, fn: FakeFunction): void {
    const path = join(this.root, "sys/kernel/iommu_groups", String(number));
    mkdirSync(join(path, "devices"), { recursive: true });
    symlinkSync(path, join(folder, "iommu_group"));
    symlinkSync(folder, join(path, "devices", fn.name));
    let group = this.groups.get(number);
    if (group === undefined) {
      const made = new FakeGroup();
      group = made;
      this.groups.set(number, made);
      this.#device(`dev/vfio/${number}`, () => made.open(this.io, this.trace));
    }
    group.functions.push(fn);
  }

  #addFile(folder: string, fn: FakeFunction): void {
    const name = `vfio${this.#cdevs++}`;
    mkdirSync(join(folder, "vfio-dev", name), { recursive: true });
    this.#device(`dev/vfio/devices/${name}`, () => (fn.gone ? no("ENODEV") : fn.openByFile()));
  }

  #device(path: string, open: Parameters<FakeIo["addDevice"]>[1]): void {
    writeFileSync(join(this.root, path), "");
    this.io.addDevice(join(this.root, path), open);
  }
}

const READ_WRITE = 3;
const MAPPABLE = 7;

/** As an 82576 VF: registers in BAR0, the MSI-X table in BAR3, three vectors. */
function functionSettings(settings: DeviceSettings, mdev: boolean): FunctionSettings {
  const { vendor = 0x8086, device = 0x10ca } = settings;
  const msix = settings.msix ?? { region: 3, offset: 0, vectors: 3 };
  const config: FakeRegion = {
    memory: configSpace({ ...settings, vendor, device, msix }),
    flags: READ_WRITE,
  };
  const regions: (FakeRegion | undefined)[] = [
    { memory: new Uint8Array(16_384), flags: MAPPABLE },
    undefined,
    undefined,
    { memory: new Uint8Array(16_384), flags: MAPPABLE, msixMappable: true },
    undefined,
    undefined,
    { memory: new Uint8Array(4096).fill(0x55), flags: 1 },
    config,
    undefined,
  ];
  const one = { count: 1, flags: 9 };
  const irqs = [{ count: 0, flags: 7 }, { count: 0, flags: 9 }, { count: 3, flags: 1 }, one, one];
  const { address: _address, group: _group, driver: _driver, ...rest } = settings;
  return { regions, irqs, pci: !mdev, ...rest, name: settings.address };
}
