import type { Clock } from "../clock.ts";
import type { IrqEventFactory } from "../compose/interrupts.ts";
import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { DeviceInfo, MmapArea } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import type { AsyncRegion, MappingNote, VfioDevice } from "../device/vfio-device.ts";
import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";
import type { Logger } from "../logger.ts";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import { EventPacker, failedAnswer } from "./event-codec.ts";
import type { RecordedAnswer, RecordedCall } from "./events.ts";
import { DEFAULT_RECORDING_LIMITS, type RecordingLimits } from "./limits.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { recordedLogging, recordedMigration } from "./recorded-facets.ts";
import { RecordedIrqs } from "./recorded-irqs.ts";

/** Bytes of events that are taken as one batch. */
const BATCH = 65_536;

export interface RecorderOptions {
  /** Takes packed events, at most once a turn of the event loop; its own from then on. */
  readonly sink: (batch: Uint8Array) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<RecordingLimits>;
  /** Events in place of the user's; default: plain functions, for a base in this process. */
  readonly createIrqEvent?: IrqEventFactory | undefined;
}

/** A device whose whole conversation with its user is recorded; made by {@link recordDevice}. */
export interface RecordedDevice extends VfioDevice {
  /** Number of the step that the next access or call is. */
  nextStep: number;
  /** The user says what it wrote into guest memory; for one that replays. */
  noteGuestWrite(iova: number, data: Uint8Array): void;
  /** Gives the sink what waits for it. */
  flush(): void;
  /** Why recording ended before the device did; undefined while all is recorded. */
  readonly ended: string | undefined;
}

/**
 * Puts a recorder between a device and its user: accesses with what was read, interrupts set and raised,
 * mappings and what each side wrote into guest memory, resets, migration and dirty log. The device that
 * is given owns `device`. No region can be mapped while it is recorded, or accesses would pass unseen.
 */
export function recordDevice(device: VfioDevice, options: RecorderOptions): RecordedDevice {
  return new Recorder(device, options);
}

class Recorder implements RecordedDevice {
  readonly migration: MigrationFacet | undefined;
  readonly dmaLogging: DmaLoggingFacet | undefined;
  nextStep = 0;
  ended: string | undefined;
  readonly #device: VfioDevice;
  readonly #options: RecorderOptions;
  readonly #limits: RecordingLimits;
  readonly #packer = new EventPacker(2 * BATCH);
  readonly #watch: MemoryWatch;
  readonly #irqs: RecordedIrqs;
  #step = 0;
  #bytes = 0;
  #flushing = false;
  #turned = false;
  #seenAsync: ReadonlyMap<number, AsyncRegion> | undefined;
  #async: ReadonlyMap<number, AsyncRegion> | undefined;
  #seenInfo: DeviceInfo | undefined;
  #info: DeviceInfo | undefined;

  constructor(device: VfioDevice, options: RecorderOptions) {
    this.#device = device;
    this.#options = options;
    this.#limits = { ...DEFAULT_RECORDING_LIMITS, ...options.limits };
    this.#watch = new MemoryWatch(
      (who, iova, data) => this.#packer.memory(`${who}-memory`, this.#step, iova, data),
      this.#limits.pages,
      () => this.#end(`the device used more than ${this.#limits.pages} pages of guest memory`),
    );
    this.#irqs = new RecordedIrqs((index, vector) => this.#signal(index, vector), options);
    device.input?.listen((data) => this.#input(data));
    device.onIntended?.((change) => this.#intended(change));
    const call = this.#call.bind(this);
    this.migration = device.migration && recordedMigration(device.migration, call);
    this.dmaLogging = device.dmaLogging && recordedLogging(device.dmaLogging, call);
  }

  /** As the device's, with nothing to map. */
  get info(): DeviceInfo {
    const info = this.#device.info;
    if (this.#info === undefined || info !== this.#seenInfo) {
      this.#seenInfo = info;
      const regions = info.regions.map((region) => ({ ...region, mmap: undefined }));
      this.#info = { ...info, regions };
    }
    return this.#info;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    if (this.ended !== undefined) return this.#device.readRegion(index, offset, into);
    this.#begin(false);
    const at = this.#packer.access("read", this.#step, index, offset, into.length);
    try {
      this.#device.readRegion(index, offset, into);
      this.#packer.fill(at, into);
    } catch (error) {
      this.#answer(this.#step, failedAnswer(error));
      throw error;
    } finally {
      this.#watch.endTurn();
    }
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (this.ended !== undefined) return this.#device.writeRegion(index, offset, from);
    this.#begin(true);
    const at = this.#packer.access("write", this.#step, index, offset, from.length);
    this.#packer.fill(at, from);
    try {
      this.#device.writeRegion(index, offset, from);
    } catch (error) {
      this.#answer(this.#step, failedAnswer(error));
      throw error;
    } finally {
      this.#watch.endTurn();
    }
  }

  /** As the device's; such an access is recorded as of when it was done. */
  get asyncRegions(): ReadonlyMap<number, AsyncRegion> | undefined {
    const regions = this.#device.asyncRegions;
    if (regions !== this.#seenAsync) {
      this.#seenAsync = regions;
      const recorded = ([index, region]: [number, AsyncRegion]): [number, AsyncRegion] => [
        index,
        this.#asyncRegion(index, region),
      ];
      this.#async = regions && new Map(Array.from(regions, recorded));
    }
    return this.#async;
  }

  #asyncRegion(index: number, region: AsyncRegion): AsyncRegion {
    const { order } = region;
    const access = async (
      kind: "read" | "write",
      offset: number,
      data: Uint8Array,
    ): Promise<void> => {
      if (this.ended !== undefined) return region[kind](offset, data);
      let failure: unknown;
      try {
        if (kind === "write") this.#watch.lookAtRings();
        await region[kind](offset, data);
      } catch (error) {
        failure = error;
      }
      if (this.ended === undefined) {
        this.#begin(kind === "write");
        const at = this.#packer.access(kind, this.#step, index, offset, data.length);
        if (failure === undefined || kind === "write") this.#packer.fill(at, data);
        if (failure !== undefined) this.#answer(this.#step, failedAnswer(failure));
      }
      if (failure !== undefined) throw failure;
    };
    return {
      ...(order === undefined ? {} : { order }),
      read: (offset, into) => access("read", offset, into),
      write: (offset, from) => access("write", offset, from),
    };
  }

  setIrqs(request: IrqRequest): void {
    const { index, start, count, action, data } = request;
    const values =
      data.kind === "bool"
        ? data.values
        : data.kind === "event"
          ? Uint8Array.from(data.events, (event) => (event === undefined ? 0 : 1))
          : undefined;
    const call = { name: "irqs", index, start, count, action, kind: data.kind, values } as const;
    this.#call(call, () => this.#irqs.set(request, (recorded) => this.#device.setIrqs(recorded)));
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    const { read, write, memory, remote } = mapping;
    const kind = memory === undefined ? (remote === undefined ? "none" : "remote") : "shared";
    const call = { name: "map", ...numbersOf(mapping), read, write, memory: kind } as const;
    return this.#call(call, () =>
      this.#device.mapDma(this.ended === undefined ? this.#watch.watch(mapping) : mapping),
    );
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    const call = { name: "unmap", ...numbersOf(range) } as const;
    // While it goes, the sub-driver still writes back what it holds.
    const done = this.#call(call, () => this.#device.unmapDma(range));
    if (done !== undefined) return done.then(() => this.#watch.forget(call.iova));
    this.#watch.forget(call.iova);
  }

  noteMapping(index: number, area: MmapArea, holder?: string): MappingNote {
    return this.#device.noteMapping?.(index, area, holder) ?? { [Symbol.dispose]() {} };
  }

  reset(): Promise<void> {
    return this.#call({ name: "reset" }, () => this.#device.reset());
  }

  noteGuestWrite(iova: number, data: Uint8Array): void {
    if (this.ended === undefined) this.#watch.note(iova, data);
  }

  flush(): void {
    if (this.#packer.length === 0) return;
    const batch = this.#packer.take();
    this.#bytes += batch.length;
    this.#options.sink(batch);
    if (this.#bytes > this.#limits.bytes) {
      this.#end(`it has reached ${this.#limits.bytes} bytes`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#device[Symbol.asyncDispose]();
    } finally {
      this.#watch.endTurn();
      this.#watch.stop();
      this.flush();
      this.ended ??= "the device was closed";
      this.#irqs.close();
    }
  }

  /** A step of the user's begins: what the device did before is told first. */
  #begin(doorbell: boolean): void {
    this.#watch.endTurn();
    if (doorbell) this.#watch.lookAtRings();
    if (this.#turned) this.#packer.turn(this.#step);
    this.#turned = false;
    if (this.#packer.length >= BATCH) this.flush();
    this.#step = this.nextStep;
    this.nextStep += 1;
    this.#flushLater();
  }

  #signal(index: number, vector: number): void {
    if (this.ended !== undefined) return;
    this.#watch.endTurn();
    this.#packer.signal("signal", this.#step, index, vector);
    this.#flushLater();
  }

  #input(data: Uint8Array): void {
    if (this.ended !== undefined) return;
    this.#watch.endTurn();
    if (this.#turned) this.#packer.turn(this.#step);
    this.#turned = false;
    this.#packer.input(this.#step, data);
    this.#flushLater();
  }

  /** Behind the bytes that it is about, which are the device's up to here. */
  #intended(change: IntendedChange): void {
    if (this.ended !== undefined) return;
    this.#watch.endTurn();
    this.#packer.intended(this.#step, change);
    this.#flushLater();
  }

  /** Records what is asked and, where it fails or tells something, what comes of it. */
  #call<T>(
    call: RecordedCall,
    run: () => T,
    answerOf?: (value: Awaited<T>) => RecordedAnswer,
    failedOf?: () => RecordedAnswer,
  ): T {
    if (this.ended !== undefined) return run();
    this.#begin(true);
    const step = this.#step;
    this.#packer.value("call", step, call);
    const failed = (error: unknown): never => {
      this.#watch.endTurn();
      this.#answer(step, { ...failedOf?.(), ...failedAnswer(error) });
      throw error;
    };
    let result: T;
    try {
      result = run();
    } catch (error) {
      return failed(error);
    }
    this.#watch.endTurn();
    if (!(result instanceof Promise)) return result;
    const told = result.then((value: Awaited<T>) => {
      this.#watch.endTurn();
      this.#answer(step, answerOf?.(value) ?? {});
      return value;
    }, failed);
    // The same promise type, with the same value.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return told as T;
  }

  #answer(step: number, answer: RecordedAnswer): void {
    if (this.ended !== undefined) return;
    this.#packer.value("answer", step, answer);
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#options.clock.soon(() => {
      this.#flushing = false;
      this.#turned = true;
      if (this.ended === undefined) this.flush();
    });
  }

  #end(why: string): void {
    if (this.ended !== undefined) return;
    this.ended = why;
    this.#options.sink(this.#packer.take());
    this.#watch.stop();
    this.#options.logger.warn(`The recording ends here: ${why}. The device goes on.`);
  }
}

/** Addresses as numbers; what is beyond the exact ones is refused by the device anyway. */
function numbersOf(range: IovaRange): { readonly iova: number; readonly size: number } {
  const number = (value: bigint): number =>
    Math.max(0, Math.min(Number(value), Number.MAX_SAFE_INTEGER));
  return { iova: number(range.iova), size: number(range.size) };
}
