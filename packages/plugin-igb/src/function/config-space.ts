import { type BaseAccess, PCI_REGION, type RegionFacet, type RegionRange } from "@vfmig/core";

const COMMAND = 0x04;
const BUS_MASTER = 0x4;
const CAPABILITIES = 0x34;
const PCI_EXPRESS = 0x10;
/** Offset of Device Control inside the PCI Express capability. */
const DEVICE_CONTROL = 8;
/** `Initiate Function Level Reset`, bit 15, in the second byte. */
const FLR_HIGH = 0x80;

/**
 * Config space, which goes to the base in all it does. A function level reset is noticed, since the
 * device has forgotten everything after it.
 */
export class ConfigSpace implements RegionFacet {
  readonly index: number = PCI_REGION.CONFIG;
  readonly trapped: readonly RegionRange[];
  readonly #base: BaseAccess;
  readonly #onReset: () => void;
  readonly #deviceControl: number;
  readonly #word: Uint8Array = new Uint8Array(2);

  constructor(base: BaseAccess, onReset: () => void) {
    this.#base = base;
    this.#onReset = onReset;
    const express = findCapability(base, PCI_EXPRESS);
    this.#deviceControl = express === 0 ? -1 : express + DEVICE_CONTROL;
    this.trapped = express === 0 ? [] : [{ offset: this.#deviceControl, size: 2 }];
  }

  get busMaster(): boolean {
    this.#base.readRegion(this.index, COMMAND, this.#word);
    return ((this.#word[0] ?? 0) & BUS_MASTER) !== 0;
  }

  setBusMaster(on: boolean): void {
    if (this.busMaster === on) return;
    this.#word[0] = ((this.#word[0] ?? 0) & ~BUS_MASTER) | (on ? BUS_MASTER : 0);
    this.#base.writeRegion(this.index, COMMAND, this.#word);
  }

  read(offset: number, into: Uint8Array): void {
    this.#base.readRegion(this.index, offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    this.#base.writeRegion(this.index, offset, from);
    const flr = from[this.#deviceControl + 1 - offset];
    if (flr !== undefined && (flr & FLR_HIGH) !== 0) this.#onReset();
  }
}

/** Offset of a capability in config space; 0 where it is not there. */
function findCapability(base: BaseAccess, id: number): number {
  const bytes = new Uint8Array(2);
  base.readRegion(PCI_REGION.CONFIG, CAPABILITIES, bytes);
  let at = (bytes[0] ?? 0) & 0xfc;
  // 48 capabilities fit; more is a loop.
  for (let count = 0; at >= 0x40 && count < 48; count++) {
    base.readRegion(PCI_REGION.CONFIG, at, bytes);
    if (bytes[0] === id) return at;
    at = (bytes[1] ?? 0) & 0xfc;
  }
  return 0;
}
