import assert from "node:assert/strict";
import { PCI_REGION, type VfioDevice } from "@vfmig/core";
import { DelegatingDevice } from "@vfmig/testkit/guest";

/**
 * A device whose BAR0 is reached by loads and stores of mapped memory, as a guest's CPU reaches it. Elements of a
 * `Uint32Array` are loaded and stored at once; a `DataView` may go byte by byte, which registers do not bear.
 */
export class MappedBar extends DelegatingDevice {
  readonly #words: Uint32Array;
  /** Loads and stores so far. */
  accesses = 0;

  constructor(device: VfioDevice, { buffer, byteOffset, byteLength }: Uint8Array) {
    super(device);
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
  }

  override readRegion(index: number, offset: number, into: Uint8Array): void {
    if (index !== PCI_REGION.BAR0) return super.readRegion(index, offset, into);
    const word = this.#words[this.#at(offset, into)] ?? 0;
    for (let i = 0; i < 4; i += 1) into[i] = (word >>> (8 * i)) & 0xff;
  }

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (index !== PCI_REGION.BAR0) return super.writeRegion(index, offset, from);
    let word = 0;
    for (let i = 0; i < 4; i += 1) word |= (from[i] ?? 0) << (8 * i);
    this.#words[this.#at(offset, from)] = word >>> 0;
  }

  /** Registers of this NIC are 32 bits wide and aligned, and so are its driver's accesses. */
  #at(offset: number, { length }: Uint8Array): number {
    const inside = offset >= 0 && offset + 4 <= this.#words.byteLength;
    assert.ok(inside && length === 4 && offset % 4 === 0, `${length} bytes at ${offset} of BAR0`);
    this.accesses += 1;
    return offset / 4;
  }
}
