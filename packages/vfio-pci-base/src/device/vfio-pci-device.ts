import {
  PCI_REGION,
  type Clock,
  type DeviceInfo,
  type DmaLoggingFacet,
  type DmaMapping,
  type IovaRange,
  type IrqRequest,
  type Logger,
  type MigrationFacet,
  type VfioDevice,
} from "@vfmig/core";
import type { CheckedGrant } from "../acquire/facts.ts";
import { createDeviceLog, type DeviceLog } from "../dirty/device-log.ts";
import { IommuDirty } from "../dirty/iommu-dirty.ts";
import { GuestMappings } from "../dma/guest-mappings.ts";
import type { IoSpace } from "../dma/io-space.ts";
import { baseFault, type KernelCalls } from "../kernel-calls.ts";
import { createKernelMigration, type KernelMigration } from "../migration/kernel-migration.ts";
import { closeAll } from "./close-all.ts";
import { Features } from "./features.ts";
import { HostEvents, type HostEventListener } from "./host-events.ts";
import { identify } from "./identity.ts";
import { Irqs } from "./irqs.ts";
import { createLowPower, type LowPower } from "./low-power.ts";
import { readKernelDevice } from "./read-info.ts";
import { exportRegion, setVfToken } from "./region-export.ts";
import { RegionAccess } from "./region-access.ts";
import { Resets, setBusMaster } from "./resets.ts";
import type { HotResetInfo } from "../uapi/device-info.ts";

/** A device of the kernel's VFIO, with what it offers beyond {@link VfioDevice}. */
export interface VfioPciDevice extends VfioDevice {
  /** Which way it was opened. */
  readonly path: "group" | "iommufd";
  /** What happened since it was opened. */
  readonly events: DeviceEvents;
  /** Undefined where the kernel leaves the device awake. */
  readonly lowPower: LowPower | undefined;
  /** Whether the device may start DMA by itself (`PCI_COMMAND_MASTER`). */
  setBusMaster(on: boolean): void;
  /** Resets the bus and every device on it. */
  hotReset(): Promise<void>;
  hotResetInfo(): HotResetInfo;
  /** On a PF: the UUID that users of its VFs have to name from now on. */
  setVfToken(uuid: string): void;
  /** A dma-buf of stretches of a region (kernel 6.19 and newer); the caller closes it. */
  exportRegion(
    index: number,
    ranges: readonly { readonly offset: number; readonly size: number }[],
  ): number;
}

export interface DeviceEvents {
  /** How often the host asked for the device. */
  readonly requests: number;
  /** Fatal errors that the device reported. */
  readonly errors: number;
  /** Region accesses that passed this process; those of mapped areas and eventfds do not. */
  readonly reads: number;
  readonly writes: number;
  /** Accesses that the device did not answer. */
  readonly unanswered: number;
}

export interface DeviceParts {
  readonly calls: KernelCalls;
  readonly grant: CheckedGrant;
  readonly space: IoSpace;
  /** The page table that logs writes, where there is one. */
  readonly dirtyTable: number | undefined;
  /** The device's name in the configuration. */
  readonly device: string;
  readonly version: string;
  /** Whether regions may be mapped by a client. */
  readonly direct: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly listener: HostEventListener;
}

/** The kernel's device, built from descriptors that somebody with privileges opened. */
export class KernelVfioDevice implements VfioPciDevice {
  readonly info: DeviceInfo;
  readonly path: "group" | "iommufd";
  readonly lowPower: LowPower | undefined;
  readonly iommuDirty: DmaLoggingFacet | undefined;
  readonly #parts: DeviceParts;
  readonly #features: Features;
  readonly #access: RegionAccess;
  readonly #hostEvents: HostEvents;
  readonly #irqs: Irqs;
  readonly #resets: Resets;
  readonly #mappings: GuestMappings;
  readonly #migration: KernelMigration | undefined;
  readonly #log: DeviceLog | undefined;
  #reset: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** @throws VfmigError of what the kernel answers; the descriptors stay the caller's then */
  constructor(parts: DeviceParts) {
    const { calls, grant, space, logger } = parts;
    const fd = grant.fds.device;
    this.#parts = parts;
    this.path = grant.facts.path;
    const { info, offsets } = readKernelDevice(calls, fd, parts.direct);
    this.#features = new Features(calls, fd);
    this.#access = new RegionAccess(calls, fd, info.regions, offsets, logger);
    this.lowPower = createLowPower(this.#features);
    const mapped = (): readonly IovaRange[] => this.#mappedRanges();
    this.#log = createDeviceLog(this.#features, calls.device, mapped);
    this.#migration = createKernelMigration(calls, this.#features, logger);
    this.#resets = new Resets({
      calls,
      fd,
      clock: parts.clock,
      ownership: ownershipOf(grant),
      // What migrates can be reset, says the protocol; not every driver sets the flag.
      functionLevel: info.resettable || this.#migration !== undefined,
    });
    const iommuDirty = this.#openIommuDirty();
    this.iommuDirty = iommuDirty;
    const observers = [this.#log, iommuDirty].filter((each) => each !== undefined);
    this.#mappings = new GuestMappings({
      io: calls.io,
      space,
      device: calls.device,
      logger,
      observers,
    });
    const { facts } = grant;
    const identity = identify(parts.device, parts.version, facts, info.regions, this.#access);
    this.info = {
      ...info,
      resettable: this.#resets.possible,
      identity,
      iovaWindows: space.windows,
    };
    this.#hostEvents = new HostEvents(calls.io, calls.device, logger, parts.listener);
    const { irqs, pci } = info;
    try {
      this.#irqs = new Irqs({ calls, fd, irqs, pci, hostEvents: this.#hostEvents });
    } catch (error) {
      this.#hostEvents.close();
      throw error;
    }
  }

  get migration(): MigrationFacet | undefined {
    return this.#migration;
  }

  get dmaLogging(): DmaLoggingFacet | undefined {
    return this.#log;
  }

  get events(): DeviceEvents {
    return { ...this.#hostEvents.counts, ...this.#access.counts };
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    if (this.#closing !== undefined) throw closed(this.#parts.calls.device);
    this.#access.read(index, offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (this.#closing !== undefined) throw closed(this.#parts.calls.device);
    this.#access.write(index, offset, from);
  }

  setIrqs(request: IrqRequest): void {
    this.#assertOpen();
    this.#irqs.set(request);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    this.#assertOpen();
    return this.#mappings.add(mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    this.#assertOpen();
    return this.#mappings.remove(range);
  }

  /** Without waiting for a state change that runs: the kernel ends it. */
  reset(): Promise<void> {
    return this.#enqueueReset(() => this.#resets.reset());
  }

  hotReset(): Promise<void> {
    return this.#enqueueReset(() => this.#resets.hotReset());
  }

  hotResetInfo(): HotResetInfo {
    this.#assertOpen();
    return this.#resets.hotResetInfo();
  }

  setBusMaster(on: boolean): void {
    this.#assertOpen();
    const read = (offset: number, into: Uint8Array): void =>
      this.#access.read(PCI_REGION.CONFIG, offset, into);
    const write = (offset: number, from: Uint8Array): void =>
      this.#access.write(PCI_REGION.CONFIG, offset, from);
    setBusMaster({ read, write }, on);
  }

  setVfToken(uuid: string): void {
    this.#assertOpen();
    setVfToken(this.#features, uuid);
  }

  exportRegion(
    index: number,
    ranges: readonly { readonly offset: number; readonly size: number }[],
  ): number {
    this.#assertOpen();
    return exportRegion(this.#features, this.info.regions, index, ranges);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  #enqueueReset(run: () => Promise<void>): Promise<void> {
    this.#assertOpen();
    const done = this.#resetAfter(this.#reset, run);
    this.#reset = done.catch(() => {});
    return done;
  }

  async #resetAfter(earlier: Promise<unknown>, run: () => Promise<void>): Promise<void> {
    await earlier;
    // Silent first: a reset brings the command register back as it was before.
    this.#silence();
    await run();
    this.#log?.afterReset();
    this.#migration?.afterReset();
  }

  #openIommuDirty(): IommuDirty | undefined {
    const { calls, grant, dirtyTable, space } = this.#parts;
    if (dirtyTable === undefined || grant.facts.path !== "iommufd" || !("iommufd" in grant.fds)) {
      return undefined;
    }
    return new IommuDirty(calls, {
      iommufd: grant.fds.iommufd,
      hwpt: dirtyTable,
      pageSize: space.pageSize,
      mapped: () => this.#mappedRanges(),
    });
  }

  #mappedRanges(): readonly IovaRange[] {
    return this.#mappings.map.entries
      .filter((entry) => this.#mappings.inKernel(entry))
      .map(({ mapping }) => ({ iova: mapping.iova, size: mapping.size }));
  }

  async #close(): Promise<void> {
    const { calls, grant, space } = this.#parts;
    const { device, ...others } = grant.fds;
    await closeAll(calls.device, [
      ["reset", () => this.#reset],
      ["migration", () => this.#migration?.close()],
      ["unfinished migration", () => this.#leaveMigration()],
      ["log of the device's writes", () => this.#log?.stop()],
      ["log of the IOMMU", () => this.iommuDirty?.stop()],
      ["interrupts", () => this.#irqs.close()],
      ["bus master", () => this.#silence()],
      ["mappings", () => this.#mappings.removeAll()],
      ["address space", () => space.detach()],
      ["device", () => calls.io.close(device)],
      ["address space", () => space.close()],
      ...Object.entries(others).map(([name, fd]) => [name, () => calls.io.close(fd)] as const),
    ]);
  }

  /** A driver may keep the state for the next user, whom the kernel's mtty sample then crashes. */
  async #leaveMigration(): Promise<void> {
    const migration = this.#migration;
    if (migration === undefined || migration.state === "running") return;
    await this.#resets.reset();
  }

  /** A device whose memory goes must not write to it any more. */
  #silence(): void {
    const config = this.info.regions[PCI_REGION.CONFIG];
    if (!this.info.pci || config?.write !== true) return;
    const access = this.#access;
    setBusMaster(
      {
        read: (offset, into) => access.read(PCI_REGION.CONFIG, offset, into),
        write: (offset, from) => access.write(PCI_REGION.CONFIG, offset, from),
      },
      false,
    );
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closed(this.#parts.calls.device);
  }
}

function ownershipOf(grant: CheckedGrant): ConstructorParameters<typeof Resets>[0]["ownership"] {
  if (!("group" in grant.fds) || grant.facts.path !== "group") return { path: "iommufd" };
  return { path: "group", group: grant.facts.group, fd: grant.fds.group };
}

function closed(device: string): Error {
  return baseFault("ERR_VFMIG_DEVICE_CLOSED", `${device} is closed; open it again.`, {
    device,
    errno: "ENODEV",
  });
}
