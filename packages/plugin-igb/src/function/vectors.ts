import { type Interception, PCI_IRQ, type SubDriverContext } from "@vfmig/core";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { ALL_VECTORS, EITR_INTERVAL, IVAR, REGISTER, VECTORS } from "../registers/registers.ts";

/** The guest's interrupt registers, for saving. */
export interface VectorsState {
  /** Vectors of receive and transmit queue 0, with their valid bits. */
  readonly ivar0: number;
  readonly ivarMisc: number;
  readonly mask: number;
  readonly autoClear: number;
  readonly autoMask: number;
  readonly causes: number;
  /** Throttle intervals by vector. */
  readonly intervals: readonly number[];
}

/** Where the device raises what, always: QEMU's igb merges a changed IVAR0 with what it held before. */
const REAL = { tx: 0, rx: 1, mailbox: 2 } as const;
const REAL_IVAR0 = ((IVAR.VALID | REAL.tx) << 8) | IVAR.VALID | REAL.rx;
const REAL_IVAR_MISC = IVAR.VALID | REAL.mailbox;
const IVAR0_MASK = 0x8383;
const IVAR_MISC_MASK = 0x83;

/**
 * The interrupts as the guest sees them. The device's own stay enabled and clear themselves, since a
 * guest that polls with its vectors masked still has to be brought its descriptors.
 */
export class Vectors {
  readonly #registers: RegisterAccess;
  readonly #interceptions: readonly Interception[];
  #ivar0 = 0;
  #ivarMisc = 0;
  #mask = 0;
  #autoClear = 0;
  #autoMask = 0;
  #causes = 0;
  /** Causes that have come up and have not been signalled. */
  #owed = 0;
  readonly #intervals: number[] = Array.from({ length: VECTORS }, () => 0);
  #frozen = false;

  /** @param onSignal - the device raised this vector of its own */
  constructor(
    context: SubDriverContext,
    registers: RegisterAccess,
    onSignal: (vector: number) => void,
  ) {
    this.#registers = registers;
    this.#interceptions = Array.from({ length: VECTORS }, (_, vector) =>
      context.interrupts.intercept(PCI_IRQ.MSIX, vector, () => onSignal(vector)),
    );
  }

  /** Sets the device's own interrupts up; needed after each of its resets. */
  program(): void {
    const registers = this.#registers;
    registers.write(REGISTER.EIMC, ALL_VECTORS);
    registers.write(REGISTER.IVAR0, REAL_IVAR0);
    registers.write(REGISTER.IVAR_MISC, REAL_IVAR_MISC);
    this.#writeIntervals();
    registers.write(REGISTER.EIAM, 0);
    registers.write(REGISTER.EIAC, ALL_VECTORS);
    registers.write(REGISTER.EICR, ALL_VECTORS);
    registers.write(REGISTER.EIMS, ALL_VECTORS);
  }

  /** The device raises nothing any more. */
  silence(): void {
    this.#registers.write(REGISTER.EIMC, ALL_VECTORS);
  }

  /** Undefined where `offset` is no register of the interrupts. */
  read(offset: number): number | undefined {
    switch (offset) {
      case REGISTER.EICS:
      case REGISTER.EIMC:
        return 0;
      case REGISTER.EIMS:
        return this.#mask;
      case REGISTER.EIAC:
        return this.#autoClear;
      case REGISTER.EIAM:
        return this.#autoMask;
      case REGISTER.EICR:
        return this.#takeCauses();
      case REGISTER.IVAR0:
        return this.#ivar0;
      case REGISTER.IVAR_MISC:
        return this.#ivarMisc;
      default:
        return this.#intervals[(offset - REGISTER.EITR) / 4];
    }
  }

  /** False where `offset` is no register of the interrupts. EICS is the caller's to act on first. */
  write(offset: number, value: number): boolean {
    switch (offset) {
      case REGISTER.EICS:
        this.raise(value & ALL_VECTORS);
        return true;
      case REGISTER.EIMS:
        this.#mask |= value & ALL_VECTORS;
        // Unmasking a cause that waits fires it.
        this.#owed |= this.#causes & value;
        this.#deliver();
        return true;
      case REGISTER.EIMC:
        this.#mask &= ~value;
        return true;
      case REGISTER.EIAC:
        this.#autoClear = value & ALL_VECTORS;
        return true;
      case REGISTER.EIAM:
        this.#autoMask = value & ALL_VECTORS;
        return true;
      case REGISTER.EICR:
        this.#causes &= ~value;
        this.#owed &= ~value;
        return true;
      case REGISTER.IVAR0:
        this.#ivar0 = value & IVAR0_MASK;
        this.#writeIntervals();
        return true;
      case REGISTER.IVAR_MISC:
        this.#ivarMisc = value & IVAR_MISC_MASK;
        this.#writeIntervals();
        return true;
      default:
        return this.#writeInterval((offset - REGISTER.EITR) / 4, value);
    }
  }

  /** True where the guest has mapped receive (or transmit) to one of `vectors`. */
  serves(kind: "rx" | "tx", vectors: number): boolean {
    return (bitOf(kind === "rx" ? this.#ivar0 : this.#ivar0 >>> 8) & vectors) !== 0;
  }

  raiseRx(): void {
    this.raise(bitOf(this.#ivar0));
  }

  raiseTx(): void {
    this.raise(bitOf(this.#ivar0 >>> 8));
  }

  raiseMailbox(): void {
    this.raise(bitOf(this.#ivarMisc));
  }

  /** Raises every vector that the guest uses once: it may have missed one on the way. */
  raiseAll(): void {
    this.raiseRx();
    this.raiseTx();
    this.raiseMailbox();
  }

  /** Delivery is by edges: a cause that is up already is not signalled again. */
  raise(bits: number): void {
    this.#owed |= bits & ~this.#causes;
    this.#causes |= bits;
    this.#deliver();
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    this.#deliver();
  }

  reset(): void {
    this.#ivar0 = 0;
    this.#ivarMisc = 0;
    this.#mask = 0;
    this.#autoClear = 0;
    this.#autoMask = 0;
    this.#causes = 0;
    this.#owed = 0;
    this.#intervals.fill(0);
  }

  save(): VectorsState {
    return {
      ivar0: this.#ivar0,
      ivarMisc: this.#ivarMisc,
      mask: this.#mask,
      autoClear: this.#autoClear,
      autoMask: this.#autoMask,
      causes: this.#causes,
      intervals: [...this.#intervals],
    };
  }

  load(state: VectorsState): void {
    this.#ivar0 = state.ivar0 & IVAR0_MASK;
    this.#ivarMisc = state.ivarMisc & IVAR_MISC_MASK;
    this.#mask = state.mask;
    this.#autoClear = state.autoClear;
    this.#autoMask = state.autoMask;
    this.#causes = state.causes;
    // The other host may or may not have signalled them; once more does no harm.
    this.#owed = state.causes;
    for (const [vector, interval] of state.intervals.entries()) this.#intervals[vector] = interval;
  }

  close(): void {
    for (const interception of this.#interceptions) interception.release();
  }

  #deliver(): void {
    if (this.#frozen) return;
    for (let fires = this.#owed & this.#mask, vector = 0; vector < VECTORS; vector++) {
      const bit = 1 << vector;
      const interception = this.#interceptions[vector];
      if ((fires & bit) === 0 || interception?.guestListens !== true) continue;
      fires &= ~bit;
      this.#owed &= ~bit;
      this.#causes &= ~(this.#autoClear & bit);
      this.#mask &= ~(this.#autoMask & bit);
      interception.signalGuest();
    }
  }

  #takeCauses(): number {
    const causes = this.#causes;
    this.#causes = 0;
    this.#owed = 0;
    return causes;
  }

  #writeInterval(vector: number, value: number): boolean {
    if (this.#intervals[vector] === undefined) return false;
    this.#intervals[vector] = value & EITR_INTERVAL;
    this.#writeIntervals();
    return true;
  }

  /** The device's vectors are throttled as the guest's vectors of the same purpose. */
  #writeIntervals(): void {
    const interval = (entry: number): number =>
      (entry & IVAR.VALID) === 0 ? 0 : (this.#intervals[entry & IVAR.VECTOR_MASK] ?? 0);
    const registers = this.#registers;
    registers.write(REGISTER.EITR + 4 * REAL.tx, interval(this.#ivar0 >>> 8));
    registers.write(REGISTER.EITR + 4 * REAL.rx, interval(this.#ivar0));
    registers.write(REGISTER.EITR + 4 * REAL.mailbox, interval(this.#ivarMisc));
  }
}

/** Bit of the vector that an IVAR entry names; 0 where it names none. */
function bitOf(entry: number): number {
  return (entry & IVAR.VALID) === 0 ? 0 : 1 << (entry & IVAR.VECTOR_MASK);
}
