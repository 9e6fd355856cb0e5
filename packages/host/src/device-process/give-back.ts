import type { Logger } from "@vfmig/core";

export interface GiveBackParts {
  /** Entry whose device is served; undefined while one takes another's place. */
  readonly entry: () => string | undefined;
  /** True while a client uses the device. */
  readonly busy: () => boolean;
  /** Closes the device; called once. */
  readonly close: () => void;
  readonly logger: Logger;
}

/**
 * Gives a device back that its machine wants: at once where no client uses it, and else when its client has
 * gone. The client hears of it by the device's own REQ interrupt, and the kernel waits and asks again.
 */
export class GiveBack {
  readonly #parts: GiveBackParts;
  #wanted: string | undefined;
  #done = false;

  constructor(parts: GiveBackParts) {
    this.#parts = parts;
  }

  /** The machine wants the device of `entry`. One that is not served is on its way to be closed, or asked for again. */
  asked(entry: string): void {
    const { logger, busy } = this.#parts;
    if (this.#done || this.#parts.entry() !== entry) return;
    this.#wanted = entry;
    if (!busy()) return this.#close();
    logger.warn(
      `"${entry}" is wanted back by its machine, and its client still uses it. Unplug it from the guest, end the client, or let another device take its place: it is given back then.`,
    );
  }

  /** The client has gone. */
  clientGone(): void {
    if (!this.#done && this.#wanted !== undefined && this.#wanted === this.#parts.entry()) {
      this.#close();
    }
  }

  #close(): void {
    this.#done = true;
    this.#parts.close();
  }
}
