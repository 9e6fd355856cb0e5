import { DYN_CTL, ICR0, VF_REGISTER } from "../registers.ts";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { VirtualVector } from "./virtual-vector.ts";

/** Values of vector 0's registers, for saving. */
export interface MailboxVectorState {
  readonly control: number;
  readonly enable: number;
  readonly statControl: number;
  readonly itr: readonly number[];
}

/** Causes of vector 0 that are enabled by ICR0_ENA1; queue and software causes always are. */
const MASKABLE = ICR0.ADMINQ | ICR0.LINK_STAT_CHANGE;

/** Vector 0 as the guest sees it: causes, their enables, and the vector's own control. */
export class MailboxVector {
  readonly #vector: VirtualVector;
  readonly #real: RegisterAccess;
  readonly #itr: number[] = [0, 0, 0];
  #causes = 0;
  #enable = 0;
  #statControl = 0;

  constructor(real: RegisterAccess, signal: () => boolean) {
    this.#real = real;
    this.#vector = new VirtualVector(signal);
  }

  /** Undefined where `offset` is not one of this vector's registers. */
  read(offset: number): number | undefined {
    switch (offset) {
      case VF_REGISTER.VFINT_ICR01: {
        const causes = this.#causes;
        this.#causes = 0;
        return (causes | (causes === 0 ? 0 : ICR0.INTEVENT)) >>> 0;
      }
      case VF_REGISTER.VFINT_ICR0_ENA1:
        return this.#enable;
      case VF_REGISTER.VFINT_STAT_CTL01:
        return this.#statControl;
      case VF_REGISTER.VFINT_DYN_CTL01:
        return this.#vector.readControl();
      default:
        return this.#itr[this.#itrIndex(offset)];
    }
  }

  /** False where `offset` is not one of this vector's registers. */
  write(offset: number, value: number): boolean {
    switch (offset) {
      case VF_REGISTER.VFINT_ICR01:
        return true;
      case VF_REGISTER.VFINT_ICR0_ENA1:
        this.#enable = (value & MASKABLE) >>> 0;
        this.#check();
        return true;
      case VF_REGISTER.VFINT_STAT_CTL01:
        this.#statControl = value & 0xc;
        return true;
      case VF_REGISTER.VFINT_DYN_CTL01:
        if (this.#vector.writeControl(value)) {
          this.#causes |= ICR0.SWINT;
        }
        this.#check();
        return true;
      default:
        return this.#writeItr(this.#itrIndex(offset), value);
    }
  }

  #itrIndex(offset: number): number {
    return (offset - VF_REGISTER.VFINT_ITR01) / 4;
  }

  #writeItr(index: number, value: number): boolean {
    if (this.#itr[index] === undefined) {
      return false;
    }
    this.#itr[index] = value & 0xfff;
    this.#real.write(VF_REGISTER.VFINT_ITR01 + 4 * index, value & 0xfff);
    return true;
  }

  /** Latches causes and fires if they are enabled. */
  raise(causes: number): void {
    this.#causes |= causes;
    this.#check();
  }

  #check(): void {
    const active = this.#causes & (this.#enable | ~MASKABLE);
    if (active !== 0) {
      this.#vector.raise();
    }
  }

  /** Enables the real vector; the device masks it each time it fires. */
  armReal(): void {
    this.#real.write(VF_REGISTER.VFINT_DYN_CTL01, DYN_CTL.REARM);
    this.#real.write(VF_REGISTER.VFINT_ICR0_ENA1, ICR0.ADMINQ);
  }

  freeze(): void {
    this.#vector.freeze();
  }

  thaw(): void {
    this.#vector.thaw();
  }

  reset(): void {
    this.#vector.reset();
    this.#causes = 0;
    this.#enable = 0;
    this.#statControl = 0;
    this.#itr.fill(0);
  }

  save(): MailboxVectorState {
    return {
      control: this.#vector.readControl(),
      enable: this.#enable,
      statControl: this.#statControl,
      itr: [...this.#itr],
    };
  }

  load(state: MailboxVectorState): void {
    this.#vector.writeControl(state.control & ~DYN_CTL.SWINT_TRIG);
    this.#enable = (state.enable & MASKABLE) >>> 0;
    this.#statControl = state.statControl & 0xc;
    for (const [index, value] of state.itr.entries()) {
      this.#writeItr(index, value);
    }
  }
}
