/** One field of a configuration space; the whole space is a list of these. */
export interface ConfigField {
  readonly name: string;
  readonly offset: number;
  /** Bytes. */
  readonly size: 1 | 2 | 4;
  /** Value after a function level reset. */
  readonly value: number;
  /** Bits that a write changes. All others are read-only. */
  readonly writable?: number;
}

/** Bytes of a PCI Express function's configuration space. */
export const CONFIG_SPACE_SIZE = 4096;

/** A configuration space made from a table: reset values, and one write mask per byte. */
export class ConfigSpace {
  readonly #initial: Uint8Array = new Uint8Array(CONFIG_SPACE_SIZE);
  readonly #mask: Uint8Array = new Uint8Array(CONFIG_SPACE_SIZE);
  readonly #bytes: Uint8Array = new Uint8Array(CONFIG_SPACE_SIZE);

  constructor(fields: readonly ConfigField[]) {
    for (const field of fields) {
      for (let index = 0; index < field.size; index++) {
        this.#initial[field.offset + index] = field.value >>> (8 * index);
        this.#mask[field.offset + index] = (field.writable ?? 0) >>> (8 * index);
      }
    }
    this.reset();
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }

  read(offset: number, into: Uint8Array): void {
    for (let index = 0; index < into.length; index++) into[index] = this.#bytes[offset + index]!;
  }

  /** Changes the writable bits only. */
  write(offset: number, from: Uint8Array): void {
    for (let index = 0; index < from.length; index++) {
      const at = offset + index;
      const mask = this.#mask[at]!;
      this.#bytes[at] = (this.#bytes[at]! & ~mask) | (from[index]! & mask);
    }
  }

  word(offset: number): number {
    return this.#bytes[offset]! | (this.#bytes[offset + 1]! << 8);
  }
}
