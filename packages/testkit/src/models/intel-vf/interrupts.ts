import type { Clock } from "@vfmig/core";
import { DYN_CTL, ICR0, VF_REGISTER, vectorControl, vectorItr } from "@vfmig/iavf";
import type { Msix } from "../pci/msix.ts";
import type { Registers } from "./registers.ts";
import { NO_ITR, Throttle } from "./throttle.ts";

/** Position of the throttle index of vector 0's "other" causes in STAT_CTL01. */
const OTHER_ITR_SHIFT = 2;

/** Position of SW_ITR_INDX in a control register. */
const SW_ITR_SHIFT = 25;

/** Causes that raise vector 0 whatever ICR0_ENA1 says: its queues (bits 4:1) and software. */
const ALWAYS_ENABLED = (0x1e | ICR0.SWINT) >>> 0;

interface InterruptParts {
  readonly registers: Registers;
  readonly msix: Msix;
  readonly clock: Clock;
  /** Bits of a control register that read back. */
  readonly controlKept: number;
  /** Intervals are waited for, not only kept. */
  readonly throttling: boolean;
}

/**
 * The function's interrupt causes. A vector that fires masks itself until it is armed again; what happens
 * meanwhile, or before its throttling interval is over, is kept and fires then, so nothing is lost.
 */
export class Interrupts {
  readonly #registers: Registers;
  readonly #msix: Msix;
  readonly #controlKept: number;
  readonly #armed: Uint8Array;
  /** Waiting causes of each vector: bit n waits for interval n, bit 3 for none. */
  readonly #caused: Uint8Array;
  readonly #throttle: Throttle | undefined;

  constructor({ registers, msix, clock, controlKept, throttling }: InterruptParts) {
    this.#registers = registers;
    this.#msix = msix;
    this.#controlKept = controlKept;
    this.#armed = new Uint8Array(msix.vectors);
    this.#caused = new Uint8Array(msix.vectors);
    if (throttling) {
      this.#throttle = new Throttle(msix.vectors, registers, clock, (vector) => this.#fire(vector));
    }
    for (let vector = 0; vector < msix.vectors; vector++) {
      registers.hook(vectorControl(vector), {
        written: (value) => this.#control(vector, value),
        read: () => this.#registers.get(vectorControl(vector)) | this.#armed[vector]!,
      });
    }
    registers.hook(VF_REGISTER.VFINT_ICR01, { read: () => this.#readCauses() });
    registers.hook(VF_REGISTER.VFINT_ICR0_ENA1, { written: () => this.#evaluateZero() });
  }

  /** A queue's cause, throttled by `itr`. `queue` 0 to 15 shows in ICR01 where the vector is 0. */
  queueEvent(vector: number, queue: number, itr: number): void {
    if (vector === 0) this.#zeroCause(ICR0.QUEUE_0 << Math.min(queue, 3), itr);
    else this.#cause(vector, itr);
  }

  /** An "other" cause of vector 0, by its bit in ICR01. */
  zeroEvent(bit: number): void {
    this.#zeroCause(bit, this.#otherItr());
  }

  /** A VF's reset disarms every vector and forgets causes. */
  reset(): void {
    this.#armed.fill(0);
    this.#caused.fill(0);
    this.#throttle?.reset();
    this.#registers.set(VF_REGISTER.VFINT_ICR01, 0);
  }

  #control(vector: number, value: number): void {
    this.#registers.set(vectorControl(vector), (value & this.#controlKept) >>> 0);
    const itr = (value & DYN_CTL.ITR_INDX_MASK) >>> DYN_CTL.ITR_INDX_SHIFT;
    if (itr !== NO_ITR) {
      const interval = (value & DYN_CTL.INTERVAL_MASK) >>> DYN_CTL.INTERVAL_SHIFT;
      this.#registers.set(vectorItr(vector, itr), interval);
    }
    if ((value & DYN_CTL.CLEARPBA) !== 0) this.#msix.clearPending(vector);
    if ((value & DYN_CTL.INTENA_MSK) === 0) this.#armed[vector] = value & DYN_CTL.INTENA;
    if ((value & DYN_CTL.SWINT_TRIG) !== 0) this.#softwareCause(vector, value);
    this.#fire(vector);
  }

  /** Without SW_ITR_INDX_ENA a software interrupt is not throttled. */
  #softwareCause(vector: number, value: number): void {
    const chosen = (value & DYN_CTL.SW_ITR_INDX_ENA) !== 0;
    const itr = chosen ? (value & DYN_CTL.SW_ITR_INDX_MASK) >>> SW_ITR_SHIFT : NO_ITR;
    if (vector === 0) this.#zeroCause(ICR0.SWINT, itr);
    else this.#caused[vector] = this.#caused[vector]! | (1 << itr);
  }

  #otherItr(): number {
    return (this.#registers.get(VF_REGISTER.VFINT_STAT_CTL01) >>> OTHER_ITR_SHIFT) & 3;
  }

  /** Reading ICR01 takes its causes, so nothing is left to fire for. */
  #readCauses(): number {
    const causes = this.#registers.get(VF_REGISTER.VFINT_ICR01);
    this.#registers.set(VF_REGISTER.VFINT_ICR01, 0);
    this.#caused[0] = 0;
    return causes;
  }

  /** Causes that came while ICR0_ENA1 kept them out count once it lets them in. */
  #evaluateZero(): void {
    const causes = this.#registers.get(VF_REGISTER.VFINT_ICR01);
    const enabled = this.#registers.get(VF_REGISTER.VFINT_ICR0_ENA1);
    if ((causes & enabled) !== 0) this.#raiseZero(this.#otherItr());
  }

  #zeroCause(bit: number, itr: number): void {
    const causes = this.#registers.get(VF_REGISTER.VFINT_ICR01);
    this.#registers.set(VF_REGISTER.VFINT_ICR01, (causes | bit) >>> 0);
    const enabled = this.#registers.get(VF_REGISTER.VFINT_ICR0_ENA1) | ALWAYS_ENABLED;
    if ((enabled & bit) !== 0) this.#raiseZero(itr);
  }

  #raiseZero(itr: number): void {
    const causes = this.#registers.get(VF_REGISTER.VFINT_ICR01);
    this.#registers.set(VF_REGISTER.VFINT_ICR01, (causes | ICR0.INTEVENT) >>> 0);
    this.#cause(0, itr);
  }

  #cause(vector: number, itr: number): void {
    if (vector >= this.#caused.length) return;
    this.#caused[vector] = this.#caused[vector]! | (1 << itr);
    this.#fire(vector);
  }

  #fire(vector: number): void {
    const waiting = this.#caused[vector]!;
    if (this.#armed[vector] === 0 || waiting === 0) return;
    if (this.#throttle?.holds(vector, waiting) === true) return;
    this.#armed[vector] = 0;
    this.#caused[vector] = 0;
    this.#msix.raise(vector);
  }
}
