import type { RegisterAccess } from "@vfmig/core/toolkit";
import { QUEUE_TAIL_MASK, rxTail, txTail } from "../../registers.ts";

/** Writes of each kind of tail that have to read back before a device is believed to give them back. */
const ENOUGH = 8;

/** Tx and Rx tails are an array of registers each: what one shows counts for the others of its kind. */
interface Evidence {
  matches: number;
  /** The last that counted: a guest that repeats itself shows nothing new. */
  last: number;
}

/**
 * Whether this device's tails read back as they were written, which no source settles. Found out while
 * every write of the guest still comes by: each is compared until enough have matched; a single one that
 * does not ends it until the VF is reset. Allocates nothing while they match.
 */
export class TailReadBack {
  readonly #registers: RegisterAccess;
  readonly #onProven: () => void;
  readonly #tx: Evidence = { matches: 0, last: -1 };
  readonly #rx: Evidence = { matches: 0, last: -1 };
  #mismatch: string | undefined;

  constructor(registers: RegisterAccess, onProven: () => void) {
    this.#registers = registers;
    this.#onProven = onProven;
  }

  get proven(): boolean {
    return this.#tx.matches >= ENOUGH && this.#rx.matches >= ENOUGH && this.#mismatch === undefined;
  }

  /** What did not read back; undefined where everything did so far. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  /** For people: how far the proof is. */
  get progress(): string {
    const { matches: tx } = this.#tx;
    const { matches: rx } = this.#rx;
    return `${tx} of ${ENOUGH} Tx tails and ${rx} of ${ENOUGH} Rx tails have read back so far`;
  }

  /** The guest's Tx tail was just written to the device. */
  wroteTx(queue: number, tail: number): void {
    if (this.#tx.matches < ENOUGH && this.checkTx(queue, tail) && tail !== 0) {
      this.#count(this.#tx, tail);
    }
  }

  /** As {@link wroteTx}. A device that drops the low bits gives back 0 for those below 8. */
  wroteRx(queue: number, tail: number): void {
    if (this.#rx.matches < ENOUGH && this.checkRx(queue, tail) && tail > 7) {
      this.#count(this.#rx, tail);
    }
  }

  #count(evidence: Evidence, tail: number): void {
    if (tail !== evidence.last) {
      evidence.last = tail;
      evidence.matches++;
      if (this.proven) {
        this.#onProven();
      }
    }
  }

  /** The device's Tx tail is `tail` now; false, and remembered, where it is not. */
  checkTx(queue: number, tail: number): boolean {
    if (this.#mismatch !== undefined) {
      return false;
    }
    const read = this.#registers.read(txTail(queue));
    return (read & QUEUE_TAIL_MASK) === tail || this.#differs("Tx", queue, tail, read);
  }

  /** As {@link checkTx}; hardware may drop the low 3 bits, which it does not use. */
  checkRx(queue: number, tail: number): boolean {
    if (this.#mismatch !== undefined) {
      return false;
    }
    const read = this.#registers.read(rxTail(queue));
    const found = read & QUEUE_TAIL_MASK;
    return found === tail || found === (tail & ~7) || this.#differs("Rx", queue, tail, read);
  }

  #differs(ring: string, queue: number, wrote: number, read: number): false {
    this.#mismatch = `the ${ring} tail of queue ${queue} read back as 0x${read.toString(16)} after ${wrote} was written`;
    return false;
  }

  /** The VF was reset: what was seen may have been the reset. */
  reset(): void {
    this.#mismatch = undefined;
    for (const evidence of [this.#tx, this.#rx]) {
      evidence.matches = 0;
      evidence.last = -1;
    }
  }
}
