import { PCI_IRQ, type IrqRequest, type IrqVectors } from "@vfmig/core";

/** Bytes of one table entry: address low, address high, data, vector control. */
export const MSIX_ENTRY_SIZE = 16;

/** Vector control, byte 12 of an entry, bit 0. */
const VECTOR_CONTROL = 12;
const ENTRY_MASKED = 1;

/**
 * MSI-X of a model: table and pending bits as memory, delivery through the events that SET_IRQS gave.
 * A VMM that emulates the table itself (as QEMU does) never writes this one, whose reset state is
 * "masked": so a vector's mask counts from its first write on. What is masked, or has no event, is
 * pending, and is delivered once neither is so.
 */
export class Msix {
  readonly vectors: number;
  readonly #irqs: IrqVectors;
  readonly #table: Uint8Array;
  readonly #pba: Uint8Array;
  /** Mask bits that the user wrote: 1 holds its vector back. */
  readonly #held: Uint8Array;
  #functionMasked = false;

  /** `vectors`: 1 to 2048. */
  constructor(vectors: number, irqs: IrqVectors) {
    this.vectors = vectors;
    this.#irqs = irqs;
    this.#table = new Uint8Array(vectors * MSIX_ENTRY_SIZE);
    this.#pba = new Uint8Array(Math.ceil(vectors / 64) * 8);
    this.#held = new Uint8Array(vectors);
    this.reset();
  }

  /** Function Mask of the capability's control word. */
  set functionMasked(masked: boolean) {
    if (masked === this.#functionMasked) return;
    this.#functionMasked = masked;
    this.#deliverPending();
  }

  /** A message from the device's own logic. */
  raise(vector: number): void {
    if (!this.#deliver(vector)) this.#setPending(vector, true);
  }

  /** Drops a message that could not be delivered yet. */
  clearPending(vector: number): void {
    this.#setPending(vector, false);
  }

  /** After the user's events changed: what waited for an event is delivered, or forgotten with all of them. */
  eventsChanged(request: IrqRequest): void {
    if (request.index !== PCI_IRQ.MSIX) return;
    if (this.#irqs.enabled(PCI_IRQ.MSIX) === 0) this.#pba.fill(0);
    else this.#deliverPending();
  }

  /** Function level reset: the table is masked and empty. The user's events stay, as VFIO keeps them. */
  reset(): void {
    this.#table.fill(0);
    this.#pba.fill(0);
    this.#held.fill(0);
    this.#functionMasked = false;
    for (let vector = 0; vector < this.vectors; vector++) {
      this.#table[vector * MSIX_ENTRY_SIZE + VECTOR_CONTROL] = ENTRY_MASKED;
    }
  }

  readTable(offset: number, into: Uint8Array): void {
    copyOrZero(this.#table, offset, into);
  }

  writeTable(offset: number, from: Uint8Array): void {
    let unmasked = false;
    for (let index = 0; index < from.length; index++) {
      const at = offset + index;
      if (at >= this.#table.length) break;
      const place = at % MSIX_ENTRY_SIZE;
      const value = from[index]! & fieldMask(place);
      this.#table[at] = value;
      if (place !== VECTOR_CONTROL) continue;
      this.#held[(at - place) / MSIX_ENTRY_SIZE] = value;
      unmasked ||= value === 0;
    }
    if (unmasked) this.#deliverPending();
  }

  readPending(offset: number, into: Uint8Array): void {
    copyOrZero(this.#pba, offset, into);
  }

  #deliver(vector: number): boolean {
    if (this.#functionMasked || this.#held[vector] === ENTRY_MASKED) return false;
    return this.#irqs.signal(PCI_IRQ.MSIX, vector);
  }

  #deliverPending(): void {
    for (let vector = 0; vector < this.vectors; vector++) {
      if (this.#isPending(vector) && this.#deliver(vector)) this.#setPending(vector, false);
    }
  }

  #isPending(vector: number): boolean {
    return (this.#pba[vector >> 3]! & (1 << (vector & 7))) !== 0;
  }

  #setPending(vector: number, pending: boolean): void {
    if (vector >= this.vectors) return;
    const bit = 1 << (vector & 7);
    const byte = this.#pba[vector >> 3]!;
    this.#pba[vector >> 3] = pending ? byte | bit : byte & ~bit;
  }
}

function copyOrZero(source: Uint8Array, offset: number, into: Uint8Array): void {
  for (let index = 0; index < into.length; index++) into[index] = source[offset + index] ?? 0;
}

/** Writable bits of byte `place` of an entry: the address is dword aligned, control has one bit. */
function fieldMask(place: number): number {
  if (place === 0) return 0xfc;
  if (place === VECTOR_CONTROL) return ENTRY_MASKED;
  return place > VECTOR_CONTROL ? 0 : 0xff;
}
