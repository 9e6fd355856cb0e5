/** Values at the edges of what fields hold and of what servers check. */
const EDGES: readonly number[] = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 20, 24, 31, 32, 33, 40, 63, 64, 65, 127, 255, 256, 4095, 4096,
  4097, 8191, 8192, 8193, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_ffff,
];
const WIDE_EDGES: readonly bigint[] = [
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 53n) + 1n,
  1n << 63n,
  (1n << 64n) - 4096n,
  (1n << 64n) - 1n,
];

/** A generator of numbers that a seed repeats (xorshift32; the seed is stirred first). */
export class Random {
  #state: number;

  constructor(seed: number) {
    let state = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2_ae35);
    this.#state = (state ^ (state >>> 16)) >>> 0 || 1;
  }

  /** 0 to 2^32 - 1. */
  u32(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  /** 0 to `below` - 1. */
  below(below: number): number {
    return this.u32() % below;
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.below(from.length)] ?? from[0];
  }

  /** An edge, a small number, or anything of 32 bits. */
  field(): number {
    const kind = this.below(4);
    if (kind < 2) return EDGES[this.below(EDGES.length)] ?? 0;
    return kind === 2 ? this.below(64) : this.u32();
  }

  /** As {@link Random.field} with 64 bits. */
  wideField(): bigint {
    if (this.oneIn(3)) return WIDE_EDGES[this.below(WIDE_EDGES.length)] ?? 0n;
    if (this.oneIn(6)) return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
    return BigInt(this.field());
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += 1) bytes[at] = this.u32() >>> 9;
    return bytes;
  }
}
