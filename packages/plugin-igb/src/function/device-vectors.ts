import type { RegisterAccess } from "@vfmig/core/toolkit";
import { ALL_VECTORS, EITR_INTERVAL, IVAR, REGISTER, VECTORS } from "../registers/registers.ts";
import type { VectorsState } from "./vectors.ts";

/** Where the device raises what, unless the guest has a say: QEMU's igb merges a changed IVAR0 with what it held. */
const OWN = { tx: IVAR.VALID | 0, rx: IVAR.VALID | 1, mailbox: IVAR.VALID | 2 } as const;
export const IVAR0_MASK = 0x8383;
export const IVAR_MISC_MASK = 0x83;

/** What the guest has mapped, and how its vectors are throttled. */
type Mapping = Pick<VectorsState, "ivar0" | "ivarMisc" | "intervals">;

/** The device's own interrupt registers. */
export class DeviceVectors {
  readonly #registers: RegisterAccess;
  readonly #shared: boolean;

  /** @param shared - the guest may have the device to itself: its mapping is the device's, where it has one */
  constructor(registers: RegisterAccess, shared: boolean) {
    this.#registers = registers;
    this.#shared = shared;
  }

  /** What of a guest's that has the device to itself can be read: neither its masks nor causes that wait. */
  read(): Mapping & Pick<VectorsState, "autoClear" | "autoMask"> {
    const read = (offset: number, mask: number): number => this.#registers.read(offset) & mask;
    return {
      ivar0: read(REGISTER.IVAR0, IVAR0_MASK),
      ivarMisc: read(REGISTER.IVAR_MISC, IVAR_MISC_MASK),
      autoClear: read(REGISTER.EIAC, ALL_VECTORS),
      autoMask: read(REGISTER.EIAM, ALL_VECTORS),
      intervals: Array.from({ length: VECTORS }, (_, vector) =>
        read(REGISTER.EITR + 4 * vector, EITR_INTERVAL),
      ),
    };
  }

  /** All vectors on, and clearing themselves: a guest's masks are its own affair. */
  program(mapping: Mapping): void {
    const registers = this.#registers;
    this.silence();
    this.#map(mapping);
    registers.write(REGISTER.EIAM, 0);
    registers.write(REGISTER.EIAC, ALL_VECTORS);
    registers.write(REGISTER.EICR, ALL_VECTORS);
    registers.write(REGISTER.EIMS, ALL_VECTORS);
  }

  /** The guest has changed its mapping or an interval. */
  map(mapping: Mapping): void {
    if (this.#shared) this.#map(mapping);
    else this.#throttle(mapping);
  }

  /** The device is as the guest has programmed it; causes that wait are raised. */
  give(state: VectorsState): void {
    const registers = this.#registers;
    registers.write(REGISTER.IVAR0, state.ivar0);
    registers.write(REGISTER.IVAR_MISC, state.ivarMisc);
    for (const [vector, interval] of state.intervals.entries()) {
      registers.write(REGISTER.EITR + 4 * vector, interval);
    }
    registers.write(REGISTER.EIAM, state.autoMask);
    registers.write(REGISTER.EIAC, state.autoClear);
    registers.write(REGISTER.EICR, ALL_VECTORS);
    registers.write(REGISTER.EIMS, state.mask);
    if (state.causes !== 0) registers.write(REGISTER.EICS, state.causes);
  }

  /** Has the device raise the vector of the guest's mailbox, where it has mapped one. */
  raiseMailbox(): void {
    const bit = bitOf(this.#registers.read(REGISTER.IVAR_MISC));
    if (bit !== 0) this.#registers.write(REGISTER.EICS, bit);
  }

  /** The device raises nothing any more. */
  silence(): void {
    this.#registers.write(REGISTER.EIMC, ALL_VECTORS);
  }

  /** What the guest has not mapped is mapped all the same: one that polls has to be brought its descriptors. */
  #real(entry: number, own: number): number {
    return this.#shared && bitOf(entry) !== 0 ? entry & 0xff : own;
  }

  #map(mapping: Mapping): void {
    const tx = this.#real(mapping.ivar0 >>> 8, OWN.tx);
    const rx = this.#real(mapping.ivar0 & 0xff, OWN.rx);
    this.#registers.write(REGISTER.IVAR0, (tx << 8) | rx);
    this.#registers.write(REGISTER.IVAR_MISC, this.#real(mapping.ivarMisc, OWN.mailbox));
    this.#throttle(mapping);
  }

  /** The device's vectors are throttled as the guest's vectors of the same purpose. */
  #throttle(mapping: Mapping): void {
    this.#throttleOne(mapping.ivar0 >>> 8, OWN.tx, mapping.intervals);
    this.#throttleOne(mapping.ivar0 & 0xff, OWN.rx, mapping.intervals);
    this.#throttleOne(mapping.ivarMisc, OWN.mailbox, mapping.intervals);
  }

  #throttleOne(entry: number, own: number, intervals: readonly number[]): void {
    const vector = this.#real(entry, own) & IVAR.VECTOR_MASK;
    const interval = bitOf(entry) === 0 ? 0 : (intervals[entry & IVAR.VECTOR_MASK] ?? 0);
    this.#registers.write(REGISTER.EITR + 4 * vector, interval);
  }
}

/** Bit of the vector that an IVAR entry names; 0 where it names none that there is. */
export function bitOf(entry: number): number {
  const vector = entry & IVAR.VECTOR_MASK;
  return (entry & IVAR.VALID) === 0 || vector >= VECTORS ? 0 : 1 << vector;
}
