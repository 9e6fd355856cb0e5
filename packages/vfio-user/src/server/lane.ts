/** Work of one lane: settles when the next may begin. Never rejects. */
interface Job {
  readonly run: () => void | Promise<void>;
  readonly cancel: () => void;
}

/**
 * Runs jobs one after the other, in the order of arrival; at once where nothing runs. Commands of
 * different lanes overtake each other: a long state change does not hold up a mapping.
 */
export class Lane {
  readonly #queue: Job[] = [];
  #busy = false;
  #idle: (() => void)[] = [];

  get busy(): boolean {
    return this.#busy;
  }

  /** `cancel` is called instead of `run` where the queue is cancelled first. */
  add(run: () => void | Promise<void>, cancel: () => void): void {
    this.#queue.push({ run, cancel });
    if (!this.#busy) this.#next();
  }

  /** Drops what has not begun. */
  cancelQueued(): void {
    for (const job of this.#queue.splice(0)) job.cancel();
  }

  /** Settles when nothing runs or waits. */
  whenIdle(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #next(): void {
    for (;;) {
      const job = this.#queue.shift();
      if (job === undefined) break;
      this.#busy = true;
      const done = job.run();
      if (done !== undefined) {
        void done.then(() => this.#next());
        return;
      }
    }
    this.#busy = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
