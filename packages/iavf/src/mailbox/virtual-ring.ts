import { AQ_INDEX_MASK, AQ_LENGTH, type AqRegisters } from "../registers.ts";

/** One mailbox ring's registers, for saving. */
export interface VirtualRingState {
  readonly bal: number;
  readonly bah: number;
  readonly len: number;
  readonly head: number;
  readonly tail: number;
}

/** The five registers of a mailbox ring as the guest sees them. */
export class VirtualRing {
  readonly #registers: AqRegisters;
  readonly #baseField: number;
  #bal = 0;
  #bah = 0;
  #len = 0;
  head = 0;
  tail = 0;

  /** @param baseField - low bits of the base that do not belong to the address */
  constructor(registers: AqRegisters, baseField = 0) {
    this.#registers = registers;
    this.#baseField = baseField;
  }

  /** Undefined where `offset` is not one of this ring's registers. */
  read(offset: number): number | undefined {
    switch (offset) {
      case this.#registers.bal:
        return this.#bal;
      case this.#registers.bah:
        return this.#bah;
      case this.#registers.len:
        return this.#len;
      case this.#registers.head:
        return this.head;
      case this.#registers.tail:
        return this.tail;
      default:
        return undefined;
    }
  }

  /** The register's name, where `offset` is one of this ring's and took the value. */
  write(offset: number, value: number): keyof AqRegisters | undefined {
    switch (offset) {
      case this.#registers.bal:
        this.#bal = value >>> 0;
        return "bal";
      case this.#registers.bah:
        this.#bah = value >>> 0;
        return "bah";
      case this.#registers.len:
        this.#len = value >>> 0;
        return "len";
      case this.#registers.head:
        this.head = value & AQ_INDEX_MASK;
        return "head";
      case this.#registers.tail:
        this.tail = value & AQ_INDEX_MASK;
        return "tail";
      default:
        return undefined;
    }
  }

  get base(): number {
    return this.#bah * 0x1_0000_0000 + ((this.#bal & ~this.#baseField) >>> 0);
  }

  get entries(): number {
    return this.#len & AQ_LENGTH.LEN_MASK;
  }

  /** The guest has enabled the ring, nothing failed on it, and its indexes make sense. */
  get usable(): boolean {
    const { entries } = this;
    return (
      (this.#len & AQ_LENGTH.ENABLE) !== 0 &&
      (this.#len & AQ_LENGTH.CRIT) === 0 &&
      this.head < entries &&
      this.tail < entries
    );
  }

  /** The guest's memory could not be reached: as hardware, say so and stop. */
  fail(): void {
    this.#len = (this.#len | AQ_LENGTH.CRIT) >>> 0;
  }

  overflow(): void {
    this.#len = (this.#len | AQ_LENGTH.OVFL) >>> 0;
  }

  after(index: number): number {
    return index + 1 >= this.entries ? 0 : index + 1;
  }

  reset(): void {
    this.load({ bal: 0, bah: 0, len: 0, head: 0, tail: 0 });
  }

  save(): VirtualRingState {
    return { bal: this.#bal, bah: this.#bah, len: this.#len, head: this.head, tail: this.tail };
  }

  load(state: VirtualRingState): void {
    this.#bal = state.bal >>> 0;
    this.#bah = state.bah >>> 0;
    this.#len = state.len >>> 0;
    this.head = state.head & AQ_INDEX_MASK;
    this.tail = state.tail & AQ_INDEX_MASK;
  }
}
