import { VfmigError } from "@vfmig/core";

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

/**
 * A configuration space made from a table: reset values, and one write mask per byte, so that an access
 * of any width at any alignment does what its bytes do. What is in no field reads as zero.
 */
export class ConfigSpace {
  readonly #initial: Uint8Array = new Uint8Array(CONFIG_SPACE_SIZE);
  readonly #mask: Uint8Array = new Uint8Array(CONFIG_SPACE_SIZE);
  readonly #bytes: Uint8Array = new Uint8Array(CONFIG_SPACE_SIZE);

  /** @throws VfmigError `ERR_VFMIG_MODEL_TABLE` where a field lies outside the space or on another one */
  constructor(fields: readonly ConfigField[]) {
    const owner: (string | undefined)[] = Array.from({ length: CONFIG_SPACE_SIZE });
    for (const field of fields) {
      for (let index = 0; index < field.size; index++) {
        claim(owner, field, field.offset + index);
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

function claim(owner: (string | undefined)[], field: ConfigField, at: number): void {
  const other = owner[at];
  if (at >= 0 && at < CONFIG_SPACE_SIZE && other === undefined) {
    owner[at] = field.name;
    return;
  }
  const why = other === undefined ? "outside the space" : `where "${other}" already is`;
  throw new VfmigError(
    "ERR_VFMIG_MODEL_TABLE",
    `Configuration field "${field.name}" has a byte at 0x${at.toString(16)}, ${why}. Correct the table.`,
    { layer: "testkit", details: { field: field.name, offset: at, other } },
  );
}
