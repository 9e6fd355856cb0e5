import type { Libc } from "./libc.ts";

/** Memory for arguments that a call reads or writes; its address is asked for once. */
export interface Scratch {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** The same bytes as 32-bit words. 64-bit fields are written in halves, since a BigInt allocates. */
  readonly words: Uint32Array;
}

/** @param size Bytes, a multiple of 4. */
export function createScratch(libc: Libc, size: number): Scratch {
  const buffer = new ArrayBuffer(size);
  return {
    address: libc.addressOf(buffer),
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
  };
}

/** Stores a non-negative number below 2^53 as a 64-bit field whose lower half is word `index`. */
export function storeWide(words: Uint32Array, index: number, value: number): void {
  words[index] = value >>> 0;
  words[index + 1] = Math.floor(value / 0x1_0000_0000);
}
