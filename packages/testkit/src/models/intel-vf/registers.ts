import { BAR0_SIZE_700 } from "@vfmig/iavf";
import type { RegisterSpec } from "./register-table.ts";

/** What a part of the device does when its register is accessed. */
export interface RegisterHook {
  /** After a write; gets the value as written, masked or not as the table says. */
  written?(value: number): void;
  /** Replaces the stored value on a read. */
  read?(): number;
}

/** Bytes of BAR0 that hold registers, on both generations. */
export const REGISTER_SPACE: number = BAR0_SIZE_700;

const WORDS = REGISTER_SPACE / 4;

/** BAR0 as memory with rules: the table gives masks and reset classes, parts hook in what they do. */
export class Registers {
  readonly #values: Uint32Array = new Uint32Array(WORDS);
  readonly #masks: Uint32Array = new Uint32Array(WORDS);
  readonly #readClears: Uint8Array = new Uint8Array(WORDS);
  readonly #hooks: (RegisterHook | undefined)[] = Array.from({ length: WORDS });
  readonly #vfReset: number[] = [];

  constructor(table: readonly RegisterSpec[]) {
    for (const spec of table) {
      for (let index = 0; index < (spec.count ?? 1); index++) {
        const at = (spec.offset + index * (spec.stride ?? 4)) >> 2;
        this.#masks[at] = spec.mask;
        this.#readClears[at] = spec.readClears === true ? 1 : 0;
        if (spec.reset === "VFR") this.#vfReset.push(at);
      }
    }
  }

  /** The part that acts when the register at `offset` is accessed; beside one that is there already. */
  hook(offset: number, hook: RegisterHook): void {
    this.#hooks[offset >> 2] = { ...this.#hooks[offset >> 2], ...hook };
  }

  /** The stored value, without the effects of a read. */
  get(offset: number): number {
    return this.#values[offset >> 2]!;
  }

  /** Stores a value as the hardware does: no mask, no effects. */
  set(offset: number, value: number): void {
    this.#values[offset >> 2] = value;
  }

  /** A read by the function's user. `offset` is a multiple of 4. */
  read(offset: number): number {
    const at = offset >> 2;
    const hook = this.#hooks[at];
    if (hook?.read !== undefined) return hook.read();
    const value = this.#values[at]!;
    if (this.#readClears[at] === 1) this.#values[at] = 0;
    return value;
  }

  /** A write by the function's user. `offset` is a multiple of 4. */
  write(offset: number, value: number): void {
    const at = offset >> 2;
    const mask = this.#masks[at]!;
    if (mask === 0) return;
    this.#values[at] = (this.#values[at]! & ~mask) | (value & mask);
    this.#hooks[at]?.written?.((value & mask) >>> 0);
  }

  /** Clears the registers that a VF's own reset clears. */
  resetVf(): void {
    for (const at of this.#vfReset) this.#values[at] = 0;
  }
}
