import type { IrqEvent } from "@vfmig/core";
import type { GuestClock } from "./guest-clock.ts";
import type { PciSlot } from "./pci-slot.ts";

export interface InterruptsOptions {
  readonly slot: PciSlot;
  readonly clock: GuestClock;
  readonly createEvent: (onSignal: () => void) => IrqEvent;
  /** The handler of a vector; it only schedules work. */
  readonly handle: (vector: number) => void;
}

/** The vectors of a guest. While it stands still they are remembered, as an eventfd's counter does. */
export class Interrupts {
  readonly #options: InterruptsOptions;
  readonly #events: IrqEvent[] = [];
  readonly #latched = new Set<number>();
  #taken = 0;

  constructor(options: InterruptsOptions) {
    this.#options = options;
  }

  /** Interrupts handled so far. */
  get taken(): number {
    return this.#taken;
  }

  get enabled(): boolean {
    return this.#events.length > 0;
  }

  /** @throws GuestFault where the function has fewer vectors */
  enable(vectors: number): void {
    for (let vector = 0; vector < vectors; vector++) {
      this.#events.push(this.#options.createEvent(() => this.#raised(vector)));
    }
    this.#options.slot.enableInterrupts(this.#events);
  }

  /** Handles what came while the guest stood still. */
  takeLatched(): void {
    const latched = [...this.#latched];
    this.#latched.clear();
    for (const vector of latched) this.#raised(vector);
  }

  #raised(vector: number): void {
    if (this.#options.clock.paused) {
      this.#latched.add(vector);
      return;
    }
    this.#taken++;
    this.#options.handle(vector);
  }
}
