import { DYN_CTL } from "../registers.ts";

/** What reads of the control register show: what was written, less what acts once. */
const READABLE =
  DYN_CTL.INTENA | DYN_CTL.ITR_INDX_MASK | DYN_CTL.INTERVAL_MASK | DYN_CTL.SW_ITR_INDX_MASK;

/**
 * A vector as the guest sees it: enabled by a write of INTENA, masked by itself when it fires. What
 * happens while it is masked is kept and delivered when it is enabled again.
 */
export class VirtualVector {
  readonly #signal: () => boolean;
  #control = 0;
  #enabled = false;
  #latched = false;
  #frozen = false;

  /** @param signal - raises the guest's event; false where the guest has none yet; must not throw */
  constructor(signal: () => boolean) {
    this.#signal = signal;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Something waits until the guest enables the vector or the device runs. */
  get latched(): boolean {
    return this.#latched;
  }

  readControl(): number {
    return ((this.#control & ~DYN_CTL.INTENA) | (this.#enabled ? DYN_CTL.INTENA : 0)) >>> 0;
  }

  /** Takes a write of the control register; returns true if it asks for a software interrupt. */
  writeControl(value: number): boolean {
    this.#control = value & READABLE;
    if ((value & DYN_CTL.INTENA_MSK) === 0) {
      this.#enabled = (value & DYN_CTL.INTENA) !== 0;
    }
    this.#deliver();
    return (value & DYN_CTL.SWINT_TRIG) !== 0;
  }

  /** An event of the device. */
  raise(): void {
    this.#latched = true;
    this.#deliver();
  }

  /** The device is stopped: nothing is delivered until {@link thaw}. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    this.#deliver();
  }

  reset(): void {
    this.#control = 0;
    this.#enabled = false;
    this.#latched = false;
  }

  #deliver(): void {
    if (this.#latched && this.#enabled && !this.#frozen && this.#signal()) {
      this.#latched = false;
      this.#enabled = false;
    }
  }
}
