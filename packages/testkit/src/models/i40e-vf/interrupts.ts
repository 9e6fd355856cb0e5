import { DYN_CTL, ICR0, VF_REGISTER, vectorControl, vectorItr } from "@vfmig/iavf";
import type { Msix } from "../pci/msix.ts";
import type { Registers } from "./registers.ts";

/** Bits of a control register that read back; WB_ON_ITR does not exist on this generation. */
const CONTROL_KEPT =
  (DYN_CTL.ITR_INDX_MASK | DYN_CTL.INTERVAL_MASK | DYN_CTL.SW_ITR_INDX_MASK) >>> 0;

/** ITR_INDX 3: no throttling. */
const NO_ITR = 3;

/** Causes that raise vector 0 whatever ICR0_ENA1 says: its queues (bits 4:1) and software. */
const ALWAYS_ENABLED = (0x1e | ICR0.SWINT) >>> 0;

/**
 * The function's interrupt causes. A vector that fires masks itself until it is armed again; what happens
 * meanwhile is kept and fires then, so nothing is lost. Throttling intervals are kept, not waited for.
 */
export class Interrupts {
  readonly #registers: Registers;
  readonly #msix: Msix;
  readonly #armed: Uint8Array;
  readonly #caused: Uint8Array;

  constructor(registers: Registers, msix: Msix) {
    this.#registers = registers;
    this.#msix = msix;
    this.#armed = new Uint8Array(msix.vectors);
    this.#caused = new Uint8Array(msix.vectors);
    for (let vector = 0; vector < msix.vectors; vector++) {
      registers.hook(vectorControl(vector), {
        written: (value) => this.#control(vector, value),
        read: () => this.#registers.get(vectorControl(vector)) | this.#armed[vector]!,
      });
    }
    registers.hook(VF_REGISTER.VFINT_ICR01, { read: () => this.#readCauses() });
    registers.hook(VF_REGISTER.VFINT_ICR0_ENA1, { written: () => this.#evaluateZero() });
  }

  /** A queue's cause. `queue` 0 to 15 shows in ICR01 where the vector is 0. */
  queueEvent(vector: number, queue: number): void {
    if (vector === 0) this.zeroEvent(ICR0.QUEUE_0 << Math.min(queue, 3));
    else this.#cause(vector);
  }

  /** A cause of vector 0, by its bit in ICR01. */
  zeroEvent(bit: number): void {
    const causes = this.#registers.get(VF_REGISTER.VFINT_ICR01);
    this.#registers.set(VF_REGISTER.VFINT_ICR01, (causes | bit) >>> 0);
    const enabled = this.#registers.get(VF_REGISTER.VFINT_ICR0_ENA1) | ALWAYS_ENABLED;
    if ((enabled & bit) !== 0) this.#causeZero();
  }

  /** A VF's reset disarms every vector and forgets causes. */
  reset(): void {
    this.#armed.fill(0);
    this.#caused.fill(0);
    this.#registers.set(VF_REGISTER.VFINT_ICR01, 0);
  }

  #control(vector: number, value: number): void {
    this.#registers.set(vectorControl(vector), value & CONTROL_KEPT);
    const itr = (value & DYN_CTL.ITR_INDX_MASK) >>> DYN_CTL.ITR_INDX_SHIFT;
    if (itr !== NO_ITR) {
      const interval = (value & DYN_CTL.INTERVAL_MASK) >>> DYN_CTL.INTERVAL_SHIFT;
      this.#registers.set(vectorItr(vector, itr), interval);
    }
    if ((value & DYN_CTL.CLEARPBA) !== 0) this.#msix.clearPending(vector);
    if ((value & DYN_CTL.INTENA_MSK) === 0) this.#armed[vector] = value & DYN_CTL.INTENA;
    if ((value & DYN_CTL.SWINT_TRIG) !== 0) {
      if (vector === 0) this.zeroEvent(ICR0.SWINT);
      else this.#caused[vector] = 1;
    }
    this.#fire(vector);
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
    if ((causes & this.#registers.get(VF_REGISTER.VFINT_ICR0_ENA1)) !== 0) this.#causeZero();
  }

  #causeZero(): void {
    const causes = this.#registers.get(VF_REGISTER.VFINT_ICR01);
    this.#registers.set(VF_REGISTER.VFINT_ICR01, (causes | ICR0.INTEVENT) >>> 0);
    this.#cause(0);
  }

  #cause(vector: number): void {
    if (vector >= this.#caused.length) return;
    this.#caused[vector] = 1;
    this.#fire(vector);
  }

  #fire(vector: number): void {
    if (this.#armed[vector] === 0 || this.#caused[vector] === 0) return;
    this.#armed[vector] = 0;
    this.#caused[vector] = 0;
    this.#msix.raise(vector);
  }
}
