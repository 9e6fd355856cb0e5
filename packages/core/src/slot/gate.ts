/** Holds back whoever waits at it while it is closed. */
export class Gate {
  #opened: PromiseWithResolvers<void> | undefined;

  get closed(): boolean {
    return this.#opened !== undefined;
  }

  close(): void {
    this.#opened ??= Promise.withResolvers<void>();
  }

  open(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.resolve();
  }

  /** Settles once the gate is open. */
  async wait(): Promise<void> {
    // It may have been closed again before this turn came.
    while (this.#opened !== undefined) await this.#opened.promise;
  }
}
