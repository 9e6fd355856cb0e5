import type { RegisterAccess } from "@vfmig/core/toolkit";
import { STATISTICS } from "../registers/registers.ts";

/** The VF's counters. They cannot be written, so that what a move adds is added to each read. */
export class Statistics {
  readonly #registers: RegisterAccess;
  readonly #offsets: Uint32Array = new Uint32Array(STATISTICS.length);

  constructor(registers: RegisterAccess) {
    this.#registers = registers;
  }

  /** Undefined where `offset` is no counter. */
  read(offset: number): number | undefined {
    const at = STATISTICS.indexOf(offset);
    if (at < 0) return undefined;
    return (this.#registers.read(offset) + (this.#offsets[at] ?? 0)) >>> 0;
  }

  /** Values in the order of {@link STATISTICS}. */
  save(): number[] {
    return STATISTICS.map((offset) => this.read(offset) ?? 0);
  }

  /** From now on the guest's counters go on from `values`. */
  load(values: readonly number[]): void {
    for (const [at, offset] of STATISTICS.entries()) {
      this.#offsets[at] = (values[at] ?? 0) - this.#registers.read(offset);
    }
  }
}
