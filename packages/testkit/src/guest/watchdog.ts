import type { Clock, Timer } from "@vfmig/core";

/** Between two looks of a NIC's driver after its device, in milliseconds: iavf's and igbvf's. */
const WATCHDOG_MS = 2000;

/** A driver's periodic look after its device. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #look: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, look: () => void) {
    this.#clock = clock;
    this.#look = look;
  }

  /** The next look is a whole period away. */
  arm(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(WATCHDOG_MS, () => {
      this.arm();
      this.#look();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
