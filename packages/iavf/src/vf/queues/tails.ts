import { QUEUE_TAIL_MASK, rxTail, txTail, VF_REGISTER_COUNT } from "../../registers.ts";
import type { TailReadBack } from "../doorbells/read-back.ts";
import type { HalfMode } from "./halves.ts";
import type { PairParts, QueuePair } from "./queue-pair.ts";

/** The tails of all queues, for saving. */
export interface SavedTails {
  readonly tx: readonly number[];
  readonly rx: readonly number[];
}

export interface TailParts extends Pick<PairParts, "registers" | "family"> {
  readonly pair: (queue: number) => QueuePair | undefined;
  /** Where the rings of a queue are that was never configured: as of those that are configured next. */
  readonly unconfigured: () => HalfMode;
  /** Queues, by bit, that the device runs or was asked to run. */
  readonly asked: { readonly txQueues: number; readonly rxQueues: number };
  /** Sees what is written to queues that run on the guest's rings; absent where nobody asks. */
  readonly readBack?: TailReadBack | undefined;
}

/** The guest's tails: what it last wrote, and who gets what it writes. */
export class GuestTails {
  /** The guest may write its tails past us: what is known of them here is old. */
  unseen = false;
  readonly #parts: TailParts;
  readonly #tx: number[] = noTails();
  readonly #rx: number[] = noTails();
  /** Rx tails, by bit, that were read from a device that drops their low 3 bits. */
  #rounded = 0;

  constructor(parts: TailParts) {
    this.#parts = parts;
  }

  /** As the guest last wrote it. */
  tx(queue: number): number {
    return this.#tx[queue] ?? 0;
  }

  /** As the guest last wrote it, low bits included. */
  rx(queue: number): number {
    return this.#rx[queue] ?? 0;
  }

  /** The guest's Rx tail may be up to 7 slots further than {@link rx} says. */
  rxIsRounded(queue: number): boolean {
    return ((this.#rounded >>> queue) & 1) === 1;
  }

  readTx(queue: number): number {
    const { registers } = this.#parts;
    return this.#txMode(queue) === "direct" ? registers.read(txTail(queue)) : this.tx(queue);
  }

  /** Some hardware keeps Rx tails in multiples of 8. */
  readRx(queue: number): number {
    const { registers, family } = this.#parts;
    return this.#rxMode(queue) === "direct"
      ? registers.read(rxTail(queue))
      : this.rx(queue) & family.rxTailMask;
  }

  writeTx(queue: number, value: number): void {
    const pair = this.#parts.pair(queue);
    const tail = value & QUEUE_TAIL_MASK;
    if (pair !== undefined && !this.unseen && tail < this.tx(queue)) {
      pair.half.tx.lapped = true;
    }
    this.#tx[queue] = tail;
    const mode = this.#txMode(queue);
    if (mode === "direct") {
      this.#parts.registers.write(txTail(queue), value);
      if (((this.#parts.asked.txQueues >>> queue) & 1) === 1 && !this.unseen) {
        this.#parts.readBack?.wroteTx(queue, tail);
      }
    } else if (mode === "relay") {
      pair?.tx.kick(tail);
    }
  }

  writeRx(queue: number, value: number): void {
    const pair = this.#parts.pair(queue);
    const tail = value & QUEUE_TAIL_MASK;
    if (pair !== undefined && !this.unseen && tail < this.rx(queue)) {
      pair.half.rx.lapped = true;
    }
    this.#rx[queue] = tail;
    this.#rounded &= ~(1 << queue);
    const mode = this.#rxMode(queue);
    if (mode === "direct") {
      this.#parts.registers.write(rxTail(queue), value);
      if (((this.#parts.asked.rxQueues >>> queue) & 1) === 1 && !this.unseen) {
        this.#parts.readBack?.wroteRx(queue, tail);
      }
    } else if (mode === "relay") {
      pair?.rx.kick(tail);
    }
  }

  #txMode(queue: number): HalfMode {
    return this.#parts.pair(queue)?.half.tx.mode ?? this.#parts.unconfigured();
  }

  #rxMode(queue: number): HalfMode {
    return this.#parts.pair(queue)?.half.rx.mode ?? this.#parts.unconfigured();
  }

  /** What the guest wrote unseen, as the device has it. */
  foundTx(queue: number, tail: number): void {
    this.#tx[queue] = tail;
  }

  /** As {@link foundTx}. */
  foundRx(queue: number, tail: number): void {
    this.#rx[queue] = tail;
    this.#rounded = (tail & 7) === 0 ? this.#rounded | (1 << queue) : this.#rounded & ~(1 << queue);
  }

  /** The queue's Tx ring begins anew, at slot 0. */
  restartTx(queue: number): void {
    this.#tx[queue] = 0;
  }

  /** The VF was reset. Rx tails stay, as in hardware. */
  reset(): void {
    this.#tx.fill(0);
  }

  save(): SavedTails {
    return { tx: [...this.#tx], rx: [...this.#rx] };
  }

  load(tails: SavedTails): void {
    this.#rounded = 0;
    for (let queue = 0; queue < VF_REGISTER_COUNT.queues; queue++) {
      this.#tx[queue] = tails.tx[queue] ?? 0;
      this.#rx[queue] = tails.rx[queue] ?? 0;
    }
  }
}

function noTails(): number[] {
  return Array.from({ length: VF_REGISTER_COUNT.queues }, () => 0);
}
