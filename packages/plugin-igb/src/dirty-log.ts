import { DirtyBitmap, type DirtySink, type DirtyTrackingOps, type IovaRange } from "@vfmig/core";

/**
 * What the relays wrote, and what the device wrote through them. They see every write to guest memory
 * (the mailbox is registers), so the log is exact from the moment it is opened.
 */
export class DirtyLog implements DirtySink, DirtyTrackingOps {
  #bitmap: DirtyBitmap | undefined;

  set(iova: number, length: number): void {
    this.#bitmap?.set(iova, length);
  }

  start(_ranges: readonly IovaRange[], pageSize: number): Promise<number> {
    this.#bitmap = new DirtyBitmap(pageSize);
    return Promise.resolve(pageSize);
  }

  stop(): Promise<void> {
    this.#bitmap = undefined;
    return Promise.resolve();
  }

  readAndClear(range: IovaRange, sink: DirtySink): void {
    this.#bitmap?.drain(range, sink);
  }
}
