import {
  DirtyBitmap,
  type DirtySink,
  type DirtyTrackingOps,
  type IovaRange,
  type Logger,
} from "@vfmig/core";
import type { ShadowController } from "./shadow/controller.ts";

/**
 * What the relays and the mailbox wrote, and what the device wrote through them. They see every write
 * to guest memory while all queues are relayed, so the log is exact from the moment it is open. Where
 * queues cannot be relayed, everything counts as written.
 */
export class DirtyLog implements DirtySink, DirtyTrackingOps {
  readonly #shadow: ShadowController;
  readonly #logger: Logger;
  #bitmap: DirtyBitmap | undefined;
  /** The device writes where nobody looks: until the next start everything is dirty. */
  #blind = false;
  #starting: AbortController | undefined;

  constructor(shadow: ShadowController, logger: Logger) {
    this.#shadow = shadow;
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
      await this.#shadow.open("logging", this.#starting.signal);
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
    this.#shadow.close("logging");
    return Promise.resolve();
  }

  readAndClear(range: IovaRange, sink: DirtySink): void {
    this.#bitmap?.drain(range, sink);
    this.#blind ||= !this.#shadow.covers;
    if (this.#blind && this.#bitmap !== undefined) {
      sink.set(Number(range.iova), Number(range.size));
    }
  }
}
