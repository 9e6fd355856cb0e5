import type { Clock, Timer } from "@vfmig/core";

interface Entry {
  remainingMs: number;
  readonly soon: boolean;
  readonly run: () => void;
  timer: Timer | undefined;
  startedMs: number;
}

/**
 * The guest's time: it stands still while the guest does, as a paused virtual machine's does. Timers
 * then keep what is left of them.
 */
export class GuestClock implements Clock {
  readonly #base: Clock;
  readonly #entries = new Set<Entry>();
  #pausedAtMs: number | undefined;
  #pausedMs = 0;

  constructor(base: Clock) {
    this.#base = base;
  }

  get paused(): boolean {
    return this.#pausedAtMs !== undefined;
  }

  now(): number {
    return (this.#pausedAtMs ?? this.#base.now()) - this.#pausedMs;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add({ remainingMs: delayMs, soon: false, run, timer: undefined, startedMs: 0 });
  }

  soon(run: () => void): Timer {
    return this.#add({ remainingMs: 0, soon: true, run, timer: undefined, startedMs: 0 });
  }

  pause(): void {
    if (this.#pausedAtMs !== undefined) return;
    this.#pausedAtMs = this.#base.now();
    for (const entry of this.#entries) {
      entry.timer?.cancel();
      entry.remainingMs -= this.#pausedAtMs - entry.startedMs;
    }
  }

  resume(): void {
    if (this.#pausedAtMs === undefined) return;
    this.#pausedMs += this.#base.now() - this.#pausedAtMs;
    this.#pausedAtMs = undefined;
    for (const entry of this.#entries) this.#arm(entry);
  }

  #add(entry: Entry): Timer {
    this.#entries.add(entry);
    if (!this.paused) this.#arm(entry);
    return {
      cancel: () => {
        entry.timer?.cancel();
        this.#entries.delete(entry);
      },
    };
  }

  #arm(entry: Entry): void {
    const run = (): void => {
      this.#entries.delete(entry);
      entry.run();
    };
    entry.startedMs = this.#base.now();
    entry.timer = entry.soon
      ? this.#base.soon(run)
      : this.#base.after(Math.max(0, entry.remainingMs), run);
  }
}
