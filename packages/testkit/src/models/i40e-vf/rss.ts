import { DEFAULT_HENA, VF_REGISTER, VF_REGISTER_COUNT } from "@vfmig/iavf";
import type { FrameClass } from "../net/classify.ts";
import { hashInput } from "../net/hash-input.ts";
import { MAX_HASH_INPUT, ToeplitzHash } from "../net/toeplitz.ts";
import type { Registers } from "./registers.ts";

/** Bytes of the key and entries of the table. */
export const RSS_KEY_SIZE = 52;
export const RSS_LUT_SIZE = 64;

/** Receive side scaling out of the VF's own registers, which the PF writes through its aliases. */
export class Rss {
  readonly #registers: Registers;
  readonly #key: Uint8Array = new Uint8Array(RSS_KEY_SIZE);
  readonly #hash: ToeplitzHash = new ToeplitzHash(this.#key);
  readonly #input: Uint8Array = new Uint8Array(MAX_HASH_INPUT);

  constructor(registers: Registers) {
    this.#registers = registers;
    for (let index = 0; index < VF_REGISTER_COUNT.hkey; index++) {
      registers.hook(VF_REGISTER.VFQF_HKEY + 4 * index, { written: () => this.#keyChanged() });
    }
    this.reset();
  }

  setKey(key: Uint8Array): void {
    this.#store(VF_REGISTER.VFQF_HKEY, key);
    this.#keyChanged();
  }

  setLut(lut: Uint8Array): void {
    this.#store(VF_REGISTER.VFQF_HLUT, lut);
  }

  setHashTypes(hena: bigint): void {
    this.#registers.set(VF_REGISTER.VFQF_HENA, Number(hena & 0xffff_ffffn));
    this.#registers.set(VF_REGISTER.VFQF_HENA + 4, Number((hena >> 32n) & 0xffff_ffffn));
  }

  /** What the PF sets up with a VSI: its default hash types, key and table of zeros. */
  reset(): void {
    this.setHashTypes(DEFAULT_HENA);
    this.setKey(new Uint8Array(RSS_KEY_SIZE));
    this.setLut(new Uint8Array(RSS_LUT_SIZE));
  }

  /** The frame's hash, or -1 where its type is not hashed. */
  hash(frame: Uint8Array, found: FrameClass): number {
    const word = VF_REGISTER.VFQF_HENA + (found.hashType >= 32 ? 4 : 0);
    if (((this.#registers.get(word) >>> (found.hashType & 31)) & 1) === 0) return -1;
    return this.#hash.hash(this.#input, hashInput(frame, found, this.#input));
  }

  /** The queue of a hash; frames without one go to queue 0. */
  queue(hash: number): number {
    if (hash === -1) return 0;
    const entry = hash & (RSS_LUT_SIZE - 1);
    const word = this.#registers.get(VF_REGISTER.VFQF_HLUT + (entry & ~3));
    return (word >>> (8 * (entry & 3))) & 0xf;
  }

  #store(offset: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      this.#registers.set(offset + at, view.getUint32(at, true));
    }
  }

  #keyChanged(): void {
    const view = new DataView(this.#key.buffer);
    for (let index = 0; index < VF_REGISTER_COUNT.hkey; index++) {
      view.setUint32(4 * index, this.#registers.get(VF_REGISTER.VFQF_HKEY + 4 * index), true);
    }
    this.#hash.setKey(this.#key);
  }
}
