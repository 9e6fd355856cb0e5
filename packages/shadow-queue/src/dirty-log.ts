import {
  DirtyBitmap,
  type DirtySink,
  type DirtyTrackingOps,
  type IovaRange,
  type Logger,
} from "@vfmig/core";

/** Has a device's queues relayed while its writes are logged. */
export interface LoggedQueues {
  /** Every queue is relayed: the device writes nothing to guest memory but what the relays see. */
  readonly covers: boolean;
  /** Settles when every queue is relayed; rejects where that cannot be. */
  open(reason: "logging", signal: AbortSignal): Promise<void>;
  close(reason: "logging"): void;
}

/**
 * What a sub-driver wrote to guest memory, and what the device wrote through its relays. They see every
 * write while all queues are relayed, so the log is exact from the moment it is open. Where queues
 * cannot be relayed, everything counts as written.
 */
export class DirtyLog implements DirtySink, DirtyTrackingOps {
  readonly #queues: LoggedQueues;
  readonly #logger: Logger;
  #bitmap: DirtyBitmap | undefined;
  /** The device writes where nobody looks: until the next start everything is dirty. */
  #blind = false;
  #starting: AbortController | undefined;

  constructor(queues: LoggedQueues, logger: Logger) {
    this.#queues = queues;
    this.#logger = logger;
  }

  set(iova: number, length: number): void {
    this.#bitmap?.set(iova, length);
  }

  async start(_ranges: readonly IovaRange[], pageSize: number): Promise<number> {
    this.#bitmap = new DirtyBitmap(pageSize);
    this.#blind = false;
    this.#starting = new AbortController();
    try {
      await this.#queues.open("logging", this.#starting.signal);
    } catch (error) {
      this.#blind = true;
      this.#logger.warn("not every queue can be relayed, so that all memory counts as written", {
        cause: String(error),
      });
    }
    return pageSize;
  }

  stop(): Promise<void> {
    this.#starting?.abort(new Error("the log was stopped"));
    this.#bitmap = undefined;
    this.#blind = false;
    this.#queues.close("logging");
    return Promise.resolve();
  }

  readAndClear(range: IovaRange, sink: DirtySink): void {
    this.#bitmap?.drain(range, sink);
    this.#blind ||= !this.#queues.covers;
    if (this.#blind && this.#bitmap !== undefined) {
      sink.set(Number(range.iova), Number(range.size));
    }
  }
}
