import { PCI_REGION } from "../device/info.ts";
import type { BaseAccess } from "../sub-driver/context.ts";
import type { RegionFacet, RegionRange } from "../sub-driver/facets.ts";

const COMMAND = 0x04;
const BUS_MASTER = 0x4;
const CAPABILITIES = 0x34;
const PCI_EXPRESS = 0x10;
/** Offset of Device Control inside the PCI Express capability. */
const DEVICE_CONTROL = 8;
/** `Initiate Function Level Reset`, bit 15, in the second byte. */
const FLR_HIGH = 0x80;

/**
 * Config space, which goes to the base in all it does. Two writes are noticed: a function level reset,
 * after which the device has forgotten everything, and Bus Master Enable, without which the device
 * reaches neither the guest's memory nor the sub-driver's. While a sub-driver talks to its PF it can be
 * held on, whatever the guest says; the guest reads what it wrote.
 */
export class PciConfigSpace implements RegionFacet {
  readonly index: number = PCI_REGION.CONFIG;
  readonly trapped: readonly RegionRange[];
  readonly #base: BaseAccess;
  readonly #deviceControl: number;
  readonly #onReset: () => void;
  readonly #word: Uint8Array = new Uint8Array(2);
  #guestMaster: boolean;
  #held = 0;

  /** @param onReset - right after the guest began a function level reset */
  constructor(base: BaseAccess, onReset: () => void) {
    this.#base = base;
    this.#onReset = onReset;
    const express = findCapability(base, PCI_EXPRESS);
    this.#deviceControl = express === 0 ? -1 : express + DEVICE_CONTROL;
    this.trapped = [
      { offset: COMMAND, size: 2 },
      ...(express === 0 ? [] : [{ offset: this.#deviceControl, size: 2 }]),
    ];
    this.#guestMaster = this.#realMaster();
  }

  /** Bus Master Enable as the guest set it. */
  get busMaster(): boolean {
    return this.#guestMaster;
  }

  setBusMaster(on: boolean): void {
    this.#guestMaster = on;
    this.#apply();
  }

  /** Keeps the device able to reach memory until the returned function is called. */
  hold(): () => void {
    this.#held++;
    this.#apply();
    let held = true;
    return () => {
      if (held) {
        held = false;
        this.#held--;
        this.#apply();
      }
    };
  }

  /** The function was reset: bus mastering is off, as far as the guest is concerned. */
  refresh(): void {
    this.#guestMaster = this.#realMaster();
    this.#apply();
  }

  read(offset: number, into: Uint8Array): void {
    this.#base.readRegion(this.index, offset, into);
    const at = COMMAND - offset;
    if (at >= 0 && at < into.length) {
      into[at] = ((into[at] ?? 0) & ~BUS_MASTER) | (this.#guestMaster ? BUS_MASTER : 0);
    }
  }

  write(offset: number, from: Uint8Array): void {
    const flr = from[this.#deviceControl + 1 - offset];
    const resets = this.#deviceControl >= 0 && offset >= this.#deviceControl && flr !== undefined;
    this.#base.writeRegion(this.index, offset, from);
    const command = from[COMMAND - offset];
    if (offset <= COMMAND && command !== undefined) {
      this.#guestMaster = (command & BUS_MASTER) !== 0;
      this.#apply();
    }
    if (resets && (flr & FLR_HIGH) !== 0) {
      this.#onReset();
      this.refresh();
    }
  }

  #realMaster(): boolean {
    this.#base.readRegion(this.index, COMMAND, this.#word);
    return ((this.#word[0] ?? 0) & BUS_MASTER) !== 0;
  }

  #apply(): void {
    const wanted = this.#guestMaster || this.#held > 0;
    if (this.#realMaster() !== wanted) {
      this.#word[0] = ((this.#word[0] ?? 0) & ~BUS_MASTER) | (wanted ? BUS_MASTER : 0);
      this.#base.writeRegion(this.index, COMMAND, this.#word);
    }
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
    if (bytes[0] === id) {
      return at;
    }
    at = (bytes[1] ?? 0) & 0xfc;
  }
  return 0;
}
