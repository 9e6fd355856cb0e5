import type { Clock } from "@vfmig/core";

/** Windows that are remembered; a reader that polls between two moves misses none. */
const KEPT = 256;

/** `enter`: to private rings; `leave`: back to the guest's. */
export type SwitchKind = "enter" | "leave";

/**
 * `done`; `refused`: the PF did not stop the pair, so it never stood still; `failed`: it stood still,
 * and runs as it did before.
 */
export type SwitchOutcome = "done" | "refused" | "failed";

/** One time for which a pair stood still because it changed rings. */
export interface SwitchWindow {
  /** Counts up from 1, so that a reader knows what it has seen. */
  readonly n: number;
  readonly pair: number;
  readonly kind: SwitchKind;
  /** Milliseconds of the clock, just before the stop was asked for. */
  readonly startedAt: number;
  /** Milliseconds until the pair took frames again. */
  readonly ms: number;
  readonly outcome: SwitchOutcome;
}

export interface SwitchTotal {
  readonly count: number;
  /** Milliseconds in all. */
  readonly ms: number;
  /** Milliseconds of the longest. */
  readonly most: number;
}

/** Ends a window that was begun; the first call counts. */
export type EndSwitch = (outcome: SwitchOutcome) => void;

/**
 * The switch windows of one VF. Stopping a running pair loses what arrives meanwhile, which is not the
 * blackout of a move, and is counted apart from it.
 */
export class SwitchLog {
  readonly #clock: Clock;
  readonly #windows: SwitchWindow[] = [];
  readonly #totals: Record<SwitchKind, SwitchTotal> = {
    enter: { count: 0, ms: 0, most: 0 },
    leave: { count: 0, ms: 0, most: 0 },
  };
  #ended = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The last windows, in the order in which they ended. */
  get windows(): readonly SwitchWindow[] {
    return [...this.#windows];
  }

  get totals(): Readonly<Record<SwitchKind, SwitchTotal>> {
    return { ...this.#totals };
  }

  begin(pair: number, kind: SwitchKind): EndSwitch {
    const startedAt = this.#clock.now();
    let open = true;
    return (outcome) => {
      if (open) {
        open = false;
        this.#end({ pair, kind, startedAt, ms: this.#clock.now() - startedAt, outcome });
      }
    };
  }

  #end(window: Omit<SwitchWindow, "n">): void {
    this.#ended++;
    this.#windows.push({ n: this.#ended, ...window });
    if (this.#windows.length > KEPT) {
      this.#windows.shift();
    }
    const total = this.#totals[window.kind];
    this.#totals[window.kind] = {
      count: total.count + 1,
      ms: total.ms + window.ms,
      most: Math.max(total.most, window.ms),
    };
  }
}
