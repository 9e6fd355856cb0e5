import { systemClock, type Clock, type Timer } from "@vfmig/core";

/**
 * The system's clock, whose timers can be made to wait. A guest's link watch reads a register that is always
 * interposed, every two seconds: while the process that would answer stands still, that watch has to wait.
 */
export class HeldClock implements Clock {
  #held = false;
  #due: (() => void)[] = [];

  now(): number {
    return systemClock.now();
  }

  after(delayMs: number, run: () => void): Timer {
    let live = true;
    const fire = (): void => {
      if (live) run();
    };
    const timer = systemClock.after(delayMs, () => {
      if (this.#held) this.#due.push(fire);
      else fire();
    });
    return {
      cancel: () => {
        live = false;
        timer.cancel();
      },
    };
  }

  soon(run: () => void): Timer {
    return systemClock.soon(run);
  }

  /** Timers that come due while `run` runs wait until it has ended. */
  async during<Value>(run: () => Promise<Value>): Promise<Value> {
    this.#held = true;
    try {
      return await run();
    } finally {
      this.#held = false;
      for (const fire of this.#due.splice(0)) fire();
    }
  }
}
