import type { Clock, Timer } from "@vfmig/core";

/** Work that an interrupt or a stack schedules: however often it is asked for, it runs once, soon. */
export class SoonWork {
  readonly #clock: Clock;
  readonly #run: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, work: () => void) {
    this.#clock = clock;
    this.#run = () => {
      this.#timer = undefined;
      work();
    };
  }

  schedule(): void {
    this.#timer ??= this.#clock.soon(this.#run);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
