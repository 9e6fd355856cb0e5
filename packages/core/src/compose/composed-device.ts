import { closedError } from "../device/closed-error.ts";
import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { DeviceInput } from "../device/device-input.ts";
import type { DeviceInfo, MmapArea } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import { checkRegionAccess } from "../device/region-access.ts";
import type { MappingNote, VfioDevice } from "../device/vfio-device.ts";
import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { checkIrqRequest } from "../irqs/check-irq-request.ts";
import type { Logger } from "../logger.ts";
import { LoadSession } from "../migration/load-session.ts";
import { MigrationController, type ArcOutcome } from "../migration/migration-controller.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import { isSaving } from "../migration/next-state.ts";
import { SaveSession } from "../migration/save-session.ts";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { DirtyTrackingOps, MigrationOps, SubDriver } from "../sub-driver/facets.ts";
import { closeInOrder } from "./close-in-order.ts";
import type { BaseCalls } from "./base-calls.ts";
import { createDescription, type DescriptionFacet } from "./description.ts";
import { DmaLogging } from "./dma-logging.ts";
import type { GuestDma } from "./guest-dma.ts";
import type { IntendedChanges } from "./intended-changes.ts";
import type { Interrupts } from "./interrupts.ts";
import type { LayoutIrq } from "./layout-irq.ts";
import { baseError, messageOf, type ComposeLimits, type PluginGuard } from "./plugin-guard.ts";
import type { RegionLayouts } from "./region-layouts.ts";
import type { RegionRouter } from "./region-router.ts";

/** A base with a sub-driver on it; what the sub-driver does not take over is the base's. */
export interface ComposedDevice extends VfioDevice {
  readonly description: DescriptionFacet;
  /** What the running sub-driver says of itself, for people and reports. */
  driverStatus(): Readonly<Record<string, unknown>>;
  /** Tells the sub-driver that the host wants the device back; `count` rises with urgency. */
  hostRequest(count: number): void;
  noteMapping(index: number, area: MmapArea, holder?: string): MappingNote;
  /** Unmaps all guest memory, as for a user that is gone. */
  unmapAllDma(): Promise<void>;
}

export interface ComposedParts {
  readonly base: VfioDevice;
  readonly definition: SubDriverDefinition;
  readonly subDriver: SubDriver;
  /** What the sub-driver, the device and the IOMMU know together, as far as they are asked. */
  readonly dirtyTracking: DirtyTrackingOps | undefined;
  /** What the composed device is, with its runtime layout. */
  readonly info: DeviceInfo;
  readonly layouts: RegionLayouts;
  readonly layoutIrq: LayoutIrq | undefined;
  readonly routers: readonly (RegionRouter | undefined)[];
  readonly calls: BaseCalls;
  readonly dma: GuestDma;
  readonly interrupts: Interrupts;
  readonly guard: PluginGuard;
  readonly limits: ComposeLimits;
  readonly logger: Logger;
  readonly intended: IntendedChanges;
  /** Shuts the sub-driver's context. */
  readonly endContext: () => void;
}

export class Composition implements ComposedDevice {
  readonly description: DescriptionFacet;
  readonly migration: MigrationFacet | undefined;
  readonly dmaLogging: DmaLoggingFacet | undefined;
  readonly #parts: ComposedParts;
  readonly #base: VfioDevice;
  readonly #baseIrqs: number;
  /** Irq indexes, region sizes and rights, which no layout changes. */
  readonly #info: DeviceInfo;
  readonly #layouts: RegionLayouts;
  readonly #routers: readonly (RegionRouter | undefined)[];
  readonly #controller: MigrationController | undefined;
  #resets: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(parts: ComposedParts) {
    const { base, subDriver, layouts, routers, info, guard, limits, definition } = parts;
    this.#parts = parts;
    this.#base = base;
    this.#baseIrqs = base.info.irqs.length;
    this.#info = info;
    this.#layouts = layouts;
    this.#routers = routers;
    const { pci } = base.info.identity;
    const { callMs } = limits;
    this.description = createDescription({ definition, subDriver, pci, guard, callMs });
    this.#controller = subDriver.migration && this.#createController(subDriver.migration);
    this.migration = this.#controller ?? base.migration;
    this.dmaLogging = this.#createLogging() ?? base.dmaLogging;
  }

  get info(): DeviceInfo {
    return this.#layouts.info;
  }

  get input(): DeviceInput | undefined {
    return this.#base.input;
  }

  onIntended(listener: (change: IntendedChange) => void): void {
    this.#parts.intended.listen(listener);
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    if (this.#closing !== undefined) throw closedError();
    checkRegionAccess(this.#info.regions, index, offset, into.length, "read");
    const router = this.#routers[index];
    if (router !== undefined) return router.read(offset, into);
    try {
      this.#base.readRegion(index, offset, into);
    } catch (error) {
      throw baseError(`a read of region ${index} at offset ${offset}`, error);
    }
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (this.#closing !== undefined) throw closedError();
    checkRegionAccess(this.#info.regions, index, offset, from.length, "write");
    const router = this.#routers[index];
    if (router !== undefined) return router.write(offset, from);
    try {
      this.#base.writeRegion(index, offset, from);
    } catch (error) {
      throw baseError(`a write of region ${index} at offset ${offset}`, error);
    }
  }

  setIrqs(request: IrqRequest): void {
    this.#assertOpen();
    checkIrqRequest(this.#info.irqs, request);
    if (request.index < this.#baseIrqs) return this.#parts.interrupts.set(request);
    const { guard, subDriver, layoutIrq } = this.#parts;
    if (request.index === layoutIrq?.info.index) return layoutIrq.set(request);
    guard.call(`setting interrupts of index ${request.index}`, () => subDriver.irqs?.set(request));
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    this.#assertOpen();
    return this.#parts.dma.map(mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    this.#assertOpen();
    return this.#parts.dma.unmap(range);
  }

  async unmapAllDma(): Promise<void> {
    this.#assertOpen();
    await this.#parts.dma.unmapAll();
  }

  noteMapping(index: number, area: MmapArea, holder?: string): MappingNote {
    this.#assertOpen();
    const noted = this.#layouts.note(index, area, holder);
    const below = this.#base.noteMapping?.(index, area, holder);
    return {
      release(part) {
        noted.release(part);
        below?.release?.(part);
      },
      [Symbol.dispose]() {
        noted[Symbol.dispose]();
        below?.[Symbol.dispose]();
      },
    };
  }

  async reset(): Promise<void> {
    this.#assertOpen();
    if (!this.#info.resettable) {
      throw new VfmigError("ERR_VFMIG_DEVICE_RESET", "The base device cannot be reset.", {
        layer: "base",
        details: { errno: "EINVAL" },
      });
    }
    if (this.#controller !== undefined) return this.#controller.reset(() => this.#resetDevice());
    const done = this.#resets.then(() => this.#resetDevice());
    this.#resets = done.catch(() => {});
    await done;
  }

  driverStatus(): Readonly<Record<string, unknown>> {
    this.#assertOpen();
    const { guard, subDriver } = this.#parts;
    const status: unknown = guard.call("status()", () => subDriver.status?.() ?? {});
    if (typeof status === "object" && status !== null) return { ...status };
    throw guard.nonsense("status()", status, "an object");
  }

  hostRequest(count: number): void {
    const { guard, subDriver } = this.#parts;
    guard.call("hostRequest()", () => subDriver.hostRequest?.(count));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  #createController(ops: MigrationOps): MigrationController {
    const { definition, guard, limits, logger } = this.#parts;
    const { identity } = this.#info;
    const { callMs } = limits;
    const format = definition.state;
    const declared = definition.capabilities.migration ?? [];
    if (format === undefined) throw guard.nonsense("its manifest", format, "a state format");
    const { name, version } = definition;
    return new MigrationController({
      capabilities: { p2p: declared.includes("p2p"), preCopy: declared.includes("pre-copy") },
      ops,
      guard,
      logger,
      arcMs: limits.arcMs,
      graceMs: limits.graceMs,
      openSave: async (precopy) => {
        const description = await this.description.describe();
        const driver = { name, version };
        const header = { driver, stateVersion: format.version, device: identity, description };
        return new SaveSession({ header, format, ops, guard, callMs, precopy });
      },
      openLoad: () => {
        const compare = this.description.compare.bind(this.description);
        return new LoadSession({ driver: name, format, ops, guard, callMs, compare });
      },
      beforeWalk: (target) => {
        if (isSaving(target)) this.#layouts.enter("session", `go to ${target}`);
      },
      afterWalk: (state) => {
        if (!isSaving(state)) this.#layouts.leave("session");
      },
      arcStarts: () => {
        for (const router of this.#routers) router?.hold();
      },
      arcEnds: (outcome) => this.#endArc(outcome),
    });
  }

  #createLogging(): DmaLogging | undefined {
    const { dirtyTracking, guard, limits, logger } = this.#parts;
    if (dirtyTracking === undefined) return undefined;
    return new DmaLogging({
      ops: dirtyTracking,
      guard,
      logger,
      callMs: limits.callMs,
      beforeStart: () => this.#layouts.enter("logging", "log the device's writes"),
      afterStop: () => this.#layouts.leave("logging"),
    });
  }

  #endArc(outcome: ArcOutcome): void {
    const { logger } = this.#parts;
    for (const router of this.#routers) {
      if (outcome === "lost" || outcome === "cancelled") router?.drop();
      else router?.release((error) => logger.error(`A doorbell failed: ${messageOf(error)}`));
    }
  }

  async #resetDevice(): Promise<void> {
    const { subDriver, guard, limits, interrupts, calls } = this.#parts;
    let failure: unknown;
    try {
      guard.call("reset.prepare()", () => subDriver.reset?.prepare());
    } catch (error) {
      // The device is reset all the same: that is what its user asked for.
      failure = error;
    }
    try {
      await calls.within("a reset", this.#base.reset());
    } catch (error) {
      throw resetError(baseError("a reset", error));
    }
    try {
      interrupts.afterReset();
      await guard.settle("reset.done()", limits.callMs, () => subDriver.reset?.done());
    } catch (error) {
      failure ??= error;
    }
    if (failure !== undefined) throw resetError(failure);
  }

  async #close(): Promise<void> {
    const { base, dma, interrupts, guard, limits, subDriver, endContext, calls } = this.#parts;
    const logging = this.dmaLogging;
    await closeInOrder([
      ["layouts", () => this.#layouts.close()],
      ["session", () => this.#controller?.close()],
      ["logging", () => (logging instanceof DmaLogging ? logging.close() : undefined)],
      ["mappings", () => dma.unmapAll()],
      ["irqs", () => interrupts.close()],
      ["sub-driver", () => guard.settle("close()", limits.callMs, () => subDriver.close())],
      ["private memory", () => dma.private.close()],
      ["context", endContext],
      ["base", () => calls.within("its closing", base[Symbol.asyncDispose]())],
    ]);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }
}

function resetError(cause: unknown): VfmigError {
  const layer = VfmigError.is(cause) ? cause.layer : "core";
  return new VfmigError("ERR_VFMIG_DEVICE_RESET", `The reset failed: ${messageOf(cause)}`, {
    layer,
    details: { errno: "EIO" },
    cause,
  });
}
