/** Longest input: two IPv6 addresses, two ports and an SCTP verification tag. */
export const MAX_HASH_INPUT = 40;

/**
 * The Toeplitz hash of receive side scaling, with a table per input byte that is built again when the key
 * changes: hashing a frame costs one lookup per byte.
 */
export class ToeplitzHash {
  readonly #table: Uint32Array = new Uint32Array(MAX_HASH_INPUT * 256);
  #stale = true;
  #key: Uint8Array;

  /** `key`: at least `MAX_HASH_INPUT` + 4 bytes. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  setKey(key: Uint8Array): void {
    this.#key = key;
    this.#stale = true;
  }

  /** Hash of the first `length` bytes of `input`, as an unsigned 32-bit number. */
  hash(input: Uint8Array, length: number): number {
    if (this.#stale) this.#build();
    const table = this.#table;
    let result = 0;
    for (let at = 0; at < length; at++) result ^= table[at * 256 + input[at]!]!;
    return result >>> 0;
  }

  #build(): void {
    const table = this.#table;
    for (let at = 0; at < MAX_HASH_INPUT; at++) {
      for (let bit = 0; bit < 8; bit++)
        table[at * 256 + (0x80 >> bit)] = this.#window(at * 8 + bit);
      // A value of several bits is the exclusive or of its bits.
      for (let value = 1; value < 256; value++) {
        const low = value & -value;
        if (low === value) continue;
        table[at * 256 + value] = table[at * 256 + (value ^ low)]! ^ table[at * 256 + low]!;
      }
    }
    this.#stale = false;
  }

  /** 32 bits of the key, beginning at bit `start`. */
  #window(start: number): number {
    let value = 0;
    for (let bit = 0; bit < 32; bit++) {
      const place = start + bit;
      const key = this.#key[place >> 3] ?? 0;
      value = (value << 1) | ((key >> (7 - (place & 7))) & 1);
    }
    return value >>> 0;
  }
}
