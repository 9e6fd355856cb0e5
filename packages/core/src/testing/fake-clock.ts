import type { Clock, Timer } from "../clock.ts";

interface Pending {
  readonly at: number;
  readonly run: () => void;
}

/** A clock that stands still until a test turns it. */
export class FakeClock implements Clock {
  readonly #pending = new Set<Pending>();
  #now = 0;

  /** Timers that wait. */
  get waiting(): number {
    return this.#pending.size;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Timer {
    const pending: Pending = { at: this.#now + delayMs, run };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  soon(run: () => void): Timer {
    return this.after(0, run);
  }

  /** Lets `ms` milliseconds pass, and what waits for promises run. */
  async advance(ms: number): Promise<void> {
    await settle();
    this.#now += ms;
    for (const pending of [...this.#pending].toSorted((a, b) => a.at - b.at)) {
      if (pending.at > this.#now || !this.#pending.delete(pending)) continue;
      pending.run();
      await settle();
    }
  }
}

/** Lets everything run that only waits for promises. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
