import type { Clock, Timer } from "@vfmig/core";

/**
 * Milliseconds between looks at the mailbox while something is awaited: at first and at most.
 * Interrupts are quicker; this is for a PF whose interrupt is lost, and for the end of a reset.
 */
const POLL_MS = { FIRST: 1, MOST: 32 } as const;

/** Looks at the mailbox again while something is awaited, less and less often. */
export class MailboxWatch {
  readonly #clock: Clock;
  readonly #look: () => void;
  #timer: Timer | undefined;
  #pollMs: number = POLL_MS.FIRST;
  #closed = false;

  constructor(clock: Clock, look: () => void) {
    this.#clock = clock;
    this.#look = look;
  }

  /** Something has come, or was asked: the next look is near. */
  hurry(): void {
    this.#pollMs = POLL_MS.FIRST;
  }

  /** Looks again after the pause that is due, unless a look is planned. */
  later(): void {
    this.#plan(this.#pollMs, () => {
      this.#pollMs = Math.min(2 * this.#pollMs, POLL_MS.MOST);
    });
  }

  /** Looks in the next turn, unless a look is planned. */
  soon(): void {
    this.#plan(0, () => {});
  }

  #plan(delayMs: number, then: () => void): void {
    if (this.#closed || this.#timer !== undefined) {
      return;
    }
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      then();
      this.#look();
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
