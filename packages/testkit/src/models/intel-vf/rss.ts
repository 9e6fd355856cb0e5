import { DEFAULT_HENA, VF_REGISTER, VF_REGISTER_COUNT } from "@vfmig/iavf";
import type { FrameClass } from "../net/classify.ts";
import { hashInput } from "../net/hash-input.ts";
import { MAX_HASH_INPUT, ToeplitzHash } from "../net/toeplitz.ts";
import type { Registers } from "./registers.ts";

/** Bytes of the key and entries of the table. */
export const RSS_KEY_SIZE = 52;
export const RSS_LUT_SIZE = 64;

const HASH_TYPES = 64;

interface RssParts {
  readonly registers: Registers;
  /** Hash types, key and table are the VF's own registers, which the PF writes through its aliases. */
  readonly bound: boolean;
  /** Bits of `HASH_FIELD` that are hashed unless told otherwise. */
  readonly fields: number;
}

/** For comparing two of them. */
export interface RssSettings {
  readonly key: readonly number[];
  readonly lut: readonly number[];
  /** Hex digits. */
  readonly hashTypes: string;
  readonly fields: readonly number[];
  readonly symmetric: boolean;
}

/** Receive side scaling: hash types, key, table, and which header fields count. */
export class Rss {
  readonly #registers: Registers;
  readonly #bound: boolean;
  readonly #defaultFields: number;
  readonly #types: Uint32Array = new Uint32Array(2);
  readonly #key: Uint8Array = new Uint8Array(RSS_KEY_SIZE);
  readonly #lut: Uint8Array = new Uint8Array(RSS_LUT_SIZE);
  readonly #fields: Uint8Array = new Uint8Array(HASH_TYPES);
  readonly #hash: ToeplitzHash = new ToeplitzHash(this.#key);
  readonly #input: Uint8Array = new Uint8Array(MAX_HASH_INPUT);
  /** Source and destination give the same hash both ways round. */
  symmetric = false;

  constructor({ registers, bound, fields }: RssParts) {
    this.#registers = registers;
    this.#bound = bound;
    this.#defaultFields = fields;
    if (bound) this.#bind();
    this.reset();
  }

  setKey(key: Uint8Array): void {
    this.#key.set(key);
    this.#hash.setKey(this.#key);
    this.#show(VF_REGISTER.VFQF_HKEY, this.#key);
  }

  setLut(lut: Uint8Array): void {
    this.#lut.set(lut);
    this.#show(VF_REGISTER.VFQF_HLUT, lut);
  }

  setHashTypes(hena: bigint): void {
    this.#types[0] = Number(hena & 0xffff_ffffn);
    this.#types[1] = Number((hena >> 32n) & 0xffff_ffffn);
    if (!this.#bound) return;
    this.#registers.set(VF_REGISTER.VFQF_HENA, this.#types[0]);
    this.#registers.set(VF_REGISTER.VFQF_HENA + 4, this.#types[1]);
  }

  /** Hashes one type by these fields (`HASH_FIELD`), or no longer where `fields` is 0. */
  setFields(hashType: number, fields: number): void {
    const word = hashType >> 5;
    const bit = 1 << (hashType & 31);
    const types = this.#types[word]!;
    this.#types[word] = fields === 0 ? types & ~bit : types | bit;
    this.#fields[hashType] = fields === 0 ? this.#defaultFields : fields;
  }

  /** Key, table, hash types and what is hashed of each, as plain data. */
  get settings(): RssSettings {
    const high = BigInt(this.#types[1]!);
    return {
      key: [...this.#key],
      lut: [...this.#lut],
      hashTypes: ((high << 32n) | BigInt(this.#types[0]!)).toString(16),
      fields: [...this.#fields],
      symmetric: this.symmetric,
    };
  }

  /** All types hash all fields again. */
  resetFields(): void {
    this.#fields.fill(this.#defaultFields);
  }

  /** What the PF sets up with a VSI: its default hash types, key and table of zeros. */
  reset(): void {
    this.symmetric = false;
    this.resetFields();
    this.setHashTypes(DEFAULT_HENA);
    this.setKey(new Uint8Array(RSS_KEY_SIZE));
    this.setLut(new Uint8Array(RSS_LUT_SIZE));
  }

  /** The frame's hash, or -1 where its type is not hashed. */
  hash(frame: Uint8Array, found: FrameClass): number {
    const type = found.hashType;
    if (((this.#types[type >> 5]! >>> (type & 31)) & 1) === 0) return -1;
    const length = hashInput(frame, found, this.#fields[type]!, this.symmetric, this.#input);
    return this.#hash.hash(this.#input, length);
  }

  /** The queue of a hash; frames without one go to queue 0. */
  queue(hash: number): number {
    return hash === -1 ? 0 : this.#lut[hash & (RSS_LUT_SIZE - 1)]!;
  }

  /** The VF writes the registers itself. */
  #bind(): void {
    const words = (register: number, count: number, written: (at: number) => void): void => {
      for (let index = 0; index < count; index++) {
        this.#registers.hook(register + 4 * index, { written: () => written(index) });
      }
    };
    words(VF_REGISTER.VFQF_HENA, VF_REGISTER_COUNT.hena, (index) => {
      this.#types[index] = this.#registers.get(VF_REGISTER.VFQF_HENA + 4 * index);
    });
    words(VF_REGISTER.VFQF_HKEY, VF_REGISTER_COUNT.hkey, (index) => {
      this.#take(VF_REGISTER.VFQF_HKEY, index, this.#key);
      this.#hash.setKey(this.#key);
    });
    words(VF_REGISTER.VFQF_HLUT, VF_REGISTER_COUNT.hlut, (index) => {
      this.#take(VF_REGISTER.VFQF_HLUT, index, this.#lut);
    });
  }

  #take(register: number, index: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    view.setUint32(4 * index, this.#registers.get(register + 4 * index), true);
  }

  #show(register: number, bytes: Uint8Array): void {
    if (!this.#bound) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      this.#registers.set(register + at, view.getUint32(at, true));
    }
  }
}
