import type { ManualClock } from "./manual-clock.ts";

/** Turns after which something is taken to wait for what never comes. */
const TURNS = 100_000;

export interface SettleOptions {
  /** Milliseconds of the clock in each turn. Default 0.25. */
  readonly stepMs?: number;
  /** What goes on meanwhile, such as frames that come; called in each turn, before the clock moves on. */
  readonly onTurn?: (() => void) | undefined;
}

/**
 * Waits for a promise of something that lives by a manual clock: moves the clock on, with a turn of the event
 * loop before each step, in which promises settle that need no time. One that needs none costs none.
 *
 * @returns what `promise` gives
 * @throws what `promise` is rejected with; an `Error` after 100,000 turns
 * @example
 * const clock = createManualClock();
 * await settle(clock, guest.start(), { onTurn: () => void wire.deliver(frame) });
 */
export async function settle<T>(
  clock: ManualClock,
  promise: PromiseLike<T>,
  { stepMs = 0.25, onTurn = () => {} }: SettleOptions = {},
): Promise<T> {
  const waiting = Symbol("waiting");
  for (let turn = 0; turn < TURNS; turn++) {
    const now = new Promise<typeof waiting>((resolve) => {
      setImmediate(() => resolve(waiting));
    });
    // oxlint-disable-next-line no-await-in-loop -- promises settle between turns of the clock
    const result = await Promise.race([promise, now]);
    if (result !== waiting) return result;
    onTurn();
    clock.advance(stepMs);
  }
  throw new Error("100,000 turns of the clock were not enough");
}
