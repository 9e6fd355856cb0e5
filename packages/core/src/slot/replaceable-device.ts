import { systemClock, type Clock } from "../clock.ts";
import { closedError } from "../device/closed-error.ts";
import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { DeviceInfo, MmapArea } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import { MappingTracker } from "../device/mapping-tracker.ts";
import type { AsyncRegion, MappingNote, VfioDevice } from "../device/vfio-device.ts";
import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { silentLogger, type Logger } from "../logger.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import { Gate } from "./gate.ts";
import { gatedRegions } from "./gated-region.ts";
import { IrqMemory } from "./irq-memory.ts";
import type { ReplacementOutcome } from "./outcome.ts";
import { busy, checkReplaceable } from "./replaceable.ts";
import { Replacement, type ReplacementParts } from "./replacement.ts";
import { SlotLogging, SlotMigration } from "./slot-facets.ts";
import { Successor } from "./successor.ts";

/** A device of which another can take the place while its user goes on. */
export interface ReplaceableDevice extends VfioDevice {
  /** The device that is there now. */
  readonly current: VfioDevice;

  /**
   * Puts `next` in the place of the current device, with its state, its mappings and its interrupts: the
   * user notices a pause. `next` is this device's from the call on, and closed where it fails; the device
   * that was replaced is closed too.
   * @throws VfmigError `ERR_VFMIG_REPLACE_SHAPE`, `ERR_VFMIG_REPLACE_BUSY`, `ERR_VFMIG_REPLACE_FAILED`;
   * the current device goes on
   */
  replace(next: VfioDevice): Promise<ReplacementOutcome>;
}

export interface ReplaceableOptions {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /**
   * Called when accesses begin to wait (true), and when they no longer do. A user that accesses regions at
   * once holds its guest in between.
   */
  readonly onWindow?: (open: boolean) => void;
}

/**
 * Wraps `first` so that other devices can take its place. Accesses that come during a replacement's window
 * are those of `asyncRegions`: a vfio-user server lets them wait; at once they throw
 * `ERR_VFMIG_REPLACE_WAITING`. Mappings and interrupts are taken at all times.
 *
 * @example
 * const device = createReplaceableDevice(first);
 * const { windowMs } = await device.replace(second);
 */
export function createReplaceableDevice(
  first: VfioDevice,
  options: ReplaceableOptions = {},
): ReplaceableDevice {
  return new Slot(first, options);
}

interface Running {
  readonly next: Successor;
  readonly abort: AbortController;
  /** Settles when it has ended, however. */
  readonly ended: PromiseWithResolvers<void>;
}

class Slot implements ReplaceableDevice {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onWindow: (open: boolean) => void;
  readonly #mappings = new Map<bigint, DmaMapping>();
  /** Mappings on their way to the current device. */
  readonly #mapping = new Set<Promise<unknown>>();
  readonly #irqs = new IrqMemory();
  readonly #held = new MappingTracker();
  readonly #gate = new Gate();
  readonly #migration: SlotMigration;
  readonly #logging: SlotLogging;
  #current: VfioDevice;
  #gated: ReadonlyMap<number, AsyncRegion> | undefined;
  #running: Running | undefined;
  #closing: Promise<void> | undefined;

  constructor(first: VfioDevice, options: ReplaceableOptions) {
    this.#current = first;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#onWindow = options.onWindow ?? (() => {});
    const replacing = (): boolean => this.#running !== undefined;
    const settled = (): Promise<void> => this.#settled();
    const none = (): never => {
      throw busy("it has no such facet any more");
    };
    const migration = (): MigrationFacet => this.#current.migration ?? none();
    const logging = (): DmaLoggingFacet => this.#current.dmaLogging ?? none();
    this.#migration = new SlotMigration({ facet: migration, replacing, settled });
    this.#logging = new SlotLogging({ facet: logging, replacing, settled });
  }

  get current(): VfioDevice {
    return this.#current;
  }

  get info(): DeviceInfo {
    return this.#current.info;
  }

  get migration(): MigrationFacet | undefined {
    return this.#current.migration && this.#migration;
  }

  get dmaLogging(): DmaLoggingFacet | undefined {
    return this.#current.dmaLogging && this.#logging;
  }

  get iommuDirty(): DmaLoggingFacet | undefined {
    return this.#current.iommuDirty;
  }

  get asyncRegions(): ReadonlyMap<number, AsyncRegion> | undefined {
    return this.#gated ?? this.#current.asyncRegions;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    if (this.#gated !== undefined) throw waiting(index, offset);
    this.#current.readRegion(index, offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (this.#gated !== undefined) throw waiting(index, offset);
    this.#current.writeRegion(index, offset, from);
  }

  setIrqs(request: IrqRequest): void {
    this.#current.setIrqs(request);
    this.#irqs.note(request);
    this.#running?.next.setIrqs(request);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    if (this.#gate.closed) return this.#gate.wait().then(() => this.mapDma(mapping));
    const done = this.#current.mapDma(mapping);
    if (done === undefined) return this.#mapped(mapping);
    return this.#track(done.then(() => this.#mapped(mapping)));
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    if (this.#gate.closed) return this.#gate.wait().then(() => this.unmapDma(range));
    const done = this.#current.unmapDma(range);
    if (done === undefined) return this.#unmapped(range);
    const rest: { of?: void | Promise<void> } = {};
    const unmapped = this.#track(
      done.then(() => {
        rest.of = this.#unmapped(range);
        return undefined;
      }),
    );
    // A replacement waits for the current device's part, and the user for the other one's as well.
    return unmapped.then(() => rest.of);
  }

  async reset(): Promise<void> {
    // What was begun ends first, on one device or the other: the user knows of one only.
    this.#running?.abort.abort(cancelled("reset"));
    await this.#settled();
    await this.#current.reset();
  }

  noteMapping(index: number, area: MmapArea, holder?: string): MappingNote {
    if (this.#running !== undefined) {
      throw new VfmigError(
        "ERR_VFMIG_MAPPING_REFUSED",
        `Region ${index} cannot be mapped now: another device is taking the place of this one. Ask again when it has.`,
        { layer: "core", details: { region: index, area, errno: "EBUSY" } },
      );
    }
    const own = this.#held.note(this.info.regions, index, area, holder);
    const below = this.#current.noteMapping?.(index, area, holder);
    return {
      release(part) {
        own.release(part);
        below?.release?.(part);
      },
      [Symbol.dispose]() {
        own[Symbol.dispose]();
        below?.[Symbol.dispose]();
      },
    };
  }

  async replace(device: VfioDevice): Promise<ReplacementOutcome> {
    const next = new Successor(device);
    let facets: Pick<ReplacementParts, "from" | "to">;
    try {
      if (this.#closing !== undefined) throw closedError();
      if (this.#running !== undefined) throw busy("another one is already taking its place");
      if (this.#migration.busy) throw busy("a change of its migration state is under way");
      if (this.#logging.running) throw busy("its writes are being logged; stop the log first");
      facets = checkReplaceable(this.#current, device, this.#held);
    } catch (error) {
      if (device !== this.#current) await this.#closeQuietly(device);
      throw error;
    }
    const abort = new AbortController();
    const running = { next, abort, ended: Promise.withResolvers<void>() };
    this.#running = running;
    const old = this.#current;
    try {
      for (const mapping of this.#mappings.values()) next.map(mapping);
      return await new Replacement(this.#parts(old, running, facets)).run();
    } finally {
      this.#running = undefined;
      running.ended.resolve();
      if (this.#current !== old) await this.#letGo(old);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  #parts(
    old: VfioDevice,
    { next, abort }: Running,
    facets: Pick<ReplacementParts, "from" | "to">,
  ): ReplacementParts {
    return {
      old,
      next,
      ...facets,
      irqs: this.#irqs,
      clock: this.#clock,
      logger: this.#logger,
      signal: abort.signal,
      closeGate: () => {
        this.#gate.close();
        this.#gated = gatedRegions(this.#gate, () => this.#current);
        this.#onWindow(true);
      },
      openGate: () => {
        if (this.#gated === undefined) return;
        this.#gated = undefined;
        this.#gate.open();
        this.#onWindow(false);
      },
      mapsSettled: async () => {
        await Promise.all(this.#mapping);
      },
      commit: () => {
        this.#current = next.device;
        this.#running = undefined;
        // It is silent, and stays so: what it could still signal would be the user's.
        this.#irqs.takeFrom(old, (error) => this.#tell("taking its interrupts", error));
      },
    };
  }

  #mapped(mapping: DmaMapping): void {
    this.#mappings.set(mapping.iova, mapping);
    this.#running?.next.map(mapping);
  }

  #unmapped(range: IovaRange): void | Promise<void> {
    this.#mappings.delete(range.iova);
    if (this.#running !== undefined) return this.#unmapNext(this.#running, range);
  }

  async #unmapNext({ next, ended }: Running, range: IovaRange): Promise<void> {
    // A device that failed is closed at the end, and holds nothing then.
    if (!(await next.unmap(range))) await ended.promise;
  }

  #track(work: Promise<void>): Promise<void> {
    const settled = work.catch(() => {}).finally(() => this.#mapping.delete(settled));
    this.#mapping.add(settled);
    return work;
  }

  async #settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running.ended.promise;
  }

  /** The device that was replaced gives back what is the user's, and is closed. */
  async #letGo(old: VfioDevice): Promise<void> {
    for (const { iova, size } of this.#mappings.values()) {
      try {
        await old.unmapDma({ iova, size });
      } catch (error) {
        this.#tell("unmapping memory", error);
      }
    }
    await this.#closeQuietly(old);
  }

  async #closeQuietly(device: VfioDevice): Promise<void> {
    try {
      await device[Symbol.asyncDispose]();
    } catch (error) {
      this.#tell("closing it", error);
    }
  }

  #tell(what: string, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#logger.error(`A device that is not in use any more failed at ${what}: ${text}`);
  }

  async #close(): Promise<void> {
    this.#running?.abort.abort(closedError());
    await this.#settled();
    await this.#current[Symbol.asyncDispose]();
  }
}

function waiting(index: number, offset: number): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REPLACE_WAITING",
    `Region ${index} cannot be accessed at offset ${offset} now: another device is taking the place of this one. Wait by asyncRegions.`,
    { layer: "core", details: { region: index, offset, errno: "EAGAIN" } },
  );
}

function cancelled(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_CANCELLED",
    `Cancelled the replacement: the device is being ${why}.`,
    { layer: "core", details: { errno: "ECANCELED" } },
  );
}
