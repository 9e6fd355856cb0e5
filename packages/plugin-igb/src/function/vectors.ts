import { type Interception, PCI_IRQ, type SubDriverContext } from "@vfmig/core";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { ALL_VECTORS, EITR_INTERVAL, REGISTER, VECTORS } from "../registers/registers.ts";
import { bitOf, DeviceVectors, IVAR0_MASK, IVAR_MISC_MASK } from "./device-vectors.ts";

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

/**
 * The interrupts as the guest sees them. The device's own stay enabled and clear themselves, since a
 * guest that polls with its vectors masked still has to be brought its descriptors.
 */
export class Vectors {
  readonly #context: SubDriverContext;
  readonly #device: DeviceVectors;
  readonly #onSignal: (vector: number) => void;
  #interceptions: readonly Interception[] = [];
  /** One object for good: the guest changes it in the middle of an access. */
  readonly #mapping = {
    ivar0: 0,
    ivarMisc: 0,
    intervals: Array.from({ length: VECTORS }, () => 0),
  };
  #mask = 0;
  #autoClear = 0;
  #autoMask = 0;
  #causes = 0;
  /** Causes that have come up and have not been signalled. */
  #owed = 0;
  #frozen = false;

  /**
   * @param onSignal - the device raised this vector of its own
   * @param shared - the guest has the device to itself until {@link take}
   */
  constructor(
    context: SubDriverContext,
    registers: RegisterAccess,
    onSignal: (vector: number) => void,
    shared = false,
  ) {
    this.#context = context;
    this.#device = new DeviceVectors(registers, shared);
    this.#onSignal = onSignal;
    if (!shared) this.#intercept();
  }

  /** The device's signals come here, and not to the guest. */
  get taken(): boolean {
    return this.#interceptions.length > 0;
  }

  /**
   * Takes the vectors over from a guest that has had the device to itself. Its masks and the causes that wait
   * cannot be read: all vectors count as unmasked, and {@link raiseAll} is called for when the queues go on,
   * since one signal too many does no harm.
   *
   * @param seen - every write of a mask went through {@link note}, so that what is unmasked is known
   */
  take(seen: boolean): void {
    this.#intercept();
    const { ivar0, ivarMisc, autoClear, autoMask, intervals } = this.#device.read();
    this.#mapping.ivar0 = ivar0;
    this.#mapping.ivarMisc = ivarMisc;
    this.#autoClear = autoClear;
    this.#autoMask = autoMask;
    for (const [vector, interval] of intervals.entries())
      this.#mapping.intervals[vector] = interval;
    if (!seen) this.#mask = ALL_VECTORS;
    this.#causes = 0;
    this.#owed = 0;
  }

  /** The guest writes a register of a device that it has to itself. */
  note(offset: number, value: number): void {
    if (offset === REGISTER.EIMS) this.#mask |= value & ALL_VECTORS;
    else if (offset === REGISTER.EIMC) this.#mask &= ~value;
  }

  /** Gives device and vectors back to the guest, as it has programmed them; each vector is signalled once. */
  giveBack(): void {
    const state = this.save();
    this.#device.silence();
    this.close();
    this.#device.give(state);
    this.#causes = 0;
    this.#owed = 0;
  }

  #intercept(): void {
    const taken: Interception[] = [];
    this.#interceptions = taken;
    for (let vector = 0; vector < VECTORS; vector++) {
      const onSignal = (): void => this.#onSignal(vector);
      taken.push(this.#context.interrupts.intercept(PCI_IRQ.MSIX, vector, onSignal));
    }
  }

  /** Sets the device's own interrupts up; needed after each of its resets. */
  program(): void {
    this.#device.program(this.#mapping);
  }

  /** The device raises nothing any more. */
  silence(): void {
    this.#device.silence();
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
        return this.#mapping.ivar0;
      case REGISTER.IVAR_MISC:
        return this.#mapping.ivarMisc;
      default:
        return this.#mapping.intervals[(offset - REGISTER.EITR) / 4];
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
        this.#mapping.ivar0 = value & IVAR0_MASK;
        this.#device.map(this.#mapping);
        return true;
      case REGISTER.IVAR_MISC:
        this.#mapping.ivarMisc = value & IVAR_MISC_MASK;
        this.#device.map(this.#mapping);
        return true;
      default:
        return this.#writeInterval((offset - REGISTER.EITR) / 4, value);
    }
  }

  /** True where the guest has mapped receive (or transmit) to one of `vectors`. */
  serves(kind: "rx" | "tx", vectors: number): boolean {
    return (bitOf(kind === "rx" ? this.#mapping.ivar0 : this.#mapping.ivar0 >>> 8) & vectors) !== 0;
  }

  raiseRx(): void {
    this.raise(bitOf(this.#mapping.ivar0));
  }

  raiseTx(): void {
    this.raise(bitOf(this.#mapping.ivar0 >>> 8));
  }

  raiseMailbox(): void {
    if (this.taken) this.raise(bitOf(this.#mapping.ivarMisc));
    // The device's masks decide then, which nobody can read.
    else this.#device.raiseMailbox();
  }

  /** The guest hears of a signal as it came: nothing is known yet of what it is for. */
  forward(vector: number): void {
    this.#interceptions[vector]?.signalGuest();
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
    this.#mapping.ivar0 = 0;
    this.#mapping.ivarMisc = 0;
    this.#mask = 0;
    this.#autoClear = 0;
    this.#autoMask = 0;
    this.#causes = 0;
    this.#owed = 0;
    this.#mapping.intervals.fill(0);
  }

  save(): VectorsState {
    return {
      ivar0: this.#mapping.ivar0,
      ivarMisc: this.#mapping.ivarMisc,
      mask: this.#mask,
      autoClear: this.#autoClear,
      autoMask: this.#autoMask,
      causes: this.#causes,
      intervals: [...this.#mapping.intervals],
    };
  }

  load(state: VectorsState): void {
    this.#mapping.ivar0 = state.ivar0 & IVAR0_MASK;
    this.#mapping.ivarMisc = state.ivarMisc & IVAR_MISC_MASK;
    this.#mask = state.mask;
    this.#autoClear = state.autoClear;
    this.#autoMask = state.autoMask;
    this.#causes = state.causes;
    // The other host may or may not have signalled them; once more does no harm.
    this.#owed = state.causes;
    for (const [vector, interval] of state.intervals.entries())
      this.#mapping.intervals[vector] = interval;
  }

  /** Gives the vectors back, and leaves the device as it is. */
  close(): void {
    const taken = this.#interceptions;
    this.#interceptions = [];
    for (const interception of taken) interception.release();
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
    if (this.#mapping.intervals[vector] === undefined) return false;
    this.#mapping.intervals[vector] = value & EITR_INTERVAL;
    this.#device.map(this.#mapping);
    return true;
  }
}
