import { closedError } from "../device/closed-error.ts";
import type { IovaRange } from "../device/dma.ts";
import type { DmaLoggingFacet, DmaLoggingStart } from "../dirty/dma-logging-facet.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Logger } from "../logger.ts";
import { describeRange } from "../memory/dma-map.ts";
import type { DirtyTrackingOps } from "../sub-driver/facets.ts";
import { BitmapSink } from "./bitmap-sink.ts";
import {
  checkLoggedRanges,
  checkLogPageSize,
  checkLogRange,
  isPageSize,
  loggingError,
} from "./logged-ranges.ts";
import type { PluginGuard } from "./plugin-guard.ts";

export interface DmaLoggingOptions {
  readonly ops: DirtyTrackingOps;
  readonly guard: PluginGuard;
  readonly logger: Logger;
  readonly callMs: number;
  /** Called before the log starts; what it throws refuses the start. */
  beforeStart(): void;
  afterStop(): void;
}

/** The log of device writes over a sub-driver's own: never says clean where it does not know. */
export class DmaLogging implements DmaLoggingFacet {
  readonly #options: DmaLoggingOptions;
  #on = false;
  /** Set where the sub-driver's log failed: until it is started anew, everything is dirty. */
  #broken = false;
  #closed = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: DmaLoggingOptions) {
    this.#options = options;
  }

  start(request: DmaLoggingStart): Promise<number> {
    return this.#enqueue(() => this.#start(request));
  }

  /** Does nothing where the log is off. */
  stop(): Promise<void> {
    return this.#enqueue(() => this.#stop());
  }

  report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    return this.#enqueue(() => this.#report(range, pageSize, bitmap));
  }

  /** Stops the log for good. */
  close(): Promise<void> {
    this.#closed = true;
    return this.stop();
  }

  #enqueue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run);
    this.#tail = result.catch(() => {});
    return result;
  }

  async #start(request: DmaLoggingStart): Promise<number> {
    const { ops, guard, callMs } = this.#options;
    if (this.#closed) throw closedError();
    if (this.#on) throw stateError("is on already; stop it first", "EBUSY");
    const { pageSize } = request;
    const ranges = checkLoggedRanges(request.ranges, pageSize);
    this.#options.beforeStart();
    try {
      const granted = await guard.settle("the start of its dirty log", callMs, () =>
        ops.start(ranges, pageSize),
      );
      if (!isPageSize(granted)) {
        throw guard.nonsense("the start of its dirty log", granted, "a page size");
      }
      this.#on = true;
      this.#broken = false;
      return granted;
    } catch (error) {
      await this.#undoStart();
      throw error;
    }
  }

  /** A start that failed half way leaves nothing started. */
  async #undoStart(): Promise<void> {
    const { ops, guard, callMs, logger } = this.#options;
    try {
      await guard.settle("the stop of its dirty log", callMs, () => ops.stop());
    } catch (error) {
      logger.warn("A dirty log that did not start could not be stopped either.", { error });
    }
    this.#options.afterStop();
  }

  async #stop(): Promise<void> {
    if (!this.#on) return;
    const { ops, guard, callMs } = this.#options;
    this.#on = false;
    try {
      await guard.settle("the stop of its dirty log", callMs, () => ops.stop());
    } finally {
      this.#options.afterStop();
    }
  }

  async #report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    if (!this.#on) throw stateError("is off, so that everything may be dirty; start it first");
    checkLogPageSize(pageSize);
    checkLogRange(range);
    const start = Number(range.iova);
    const size = Number(range.size);
    const bytes = Math.ceil(Math.ceil(size / pageSize) / 8);
    if (bitmap.length < bytes) {
      throw loggingError(`a bitmap of ${bitmap.length} bytes is too short: ${bytes} are needed`);
    }
    const sink = new BitmapSink(start, start + size, pageSize, bitmap);
    if (!this.#broken) await this.#read(range, sink);
    sink.close();
    if (this.#broken) sink.setAll();
  }

  async #read(range: IovaRange, sink: BitmapSink): Promise<void> {
    const { ops, guard, callMs, logger } = this.#options;
    try {
      await guard.settle("the reading of its dirty log", callMs, () =>
        ops.readAndClear(range, sink),
      );
      if (sink.broken) {
        throw guard.nonsense("the reading of its dirty log", "no stretch", "address and length");
      }
    } catch (error) {
      this.#broken = true;
      const named = guard.named("the reading of its dirty log", error);
      logger.error(`${named.message} Everything counts as dirty until the log is started again.`, {
        code: named.code,
        layer: named.layer,
        range: describeRange(range),
      });
    }
  }
}

function stateError(why: string, errno = "EINVAL"): VfmigError {
  return new VfmigError("ERR_VFMIG_DMA_LOGGING_STATE", `The log of device writes ${why}.`, {
    layer: "core",
    details: { errno },
  });
}
