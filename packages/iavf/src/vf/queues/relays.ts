import type { RingPosition } from "@vfmig/shadow-queue";
import type { QueuePair } from "./queue-pair.ts";

/** Where the guest stands on one queue, in guest slots. */
export interface GuestQueueState {
  readonly queue: number;
  readonly tx: RingPosition;
  readonly rx: RingPosition;
}

/** A frame of our own, in memory that the device reaches. */
export interface OwnFrame {
  readonly iova: number;
  readonly length: number;
}

/** Guest indices of a queue at a stop: the next slot that will be completed. */
export interface QueueIndices {
  readonly queue: number;
  readonly tx: number;
  readonly rx: number;
}

/** The relays of all pairs together: what moves, stops and goes on at once. */
export class QueueRelays {
  readonly #pairs: readonly (QueuePair | undefined)[];

  /** @param pairs - by queue; looked at anew each time */
  constructor(pairs: readonly (QueuePair | undefined)[]) {
    this.#pairs = pairs;
  }

  get #all(): readonly QueuePair[] {
    return this.#pairs.filter((pair) => pair !== undefined);
  }

  /** Takes finished descriptors of the given queues to the guest; returns how many slots. */
  complete(txQueues: number, rxQueues: number): number {
    let finished = 0;
    for (let queue = 0; queue < this.#pairs.length; queue++) {
      const pair = this.#pairs[queue];
      if (pair !== undefined) {
        finished += ((txQueues >>> queue) & 1) === 1 ? pair.tx.complete() : 0;
        finished += ((rxQueues >>> queue) & 1) === 1 ? pair.rx.complete() : 0;
      }
    }
    return finished;
  }

  /** No further frame of the guest is given to the device; what it has goes on. */
  pauseTx(): void {
    for (const pair of this.#all) {
      pair.tx.pause();
    }
  }

  /** Frames that the device still holds. */
  get txOutstanding(): number {
    return this.#all.reduce((sum, pair) => sum + pair.tx.outstanding, 0);
  }

  /** Ends {@link pauseTx} for the queues that the guest runs. */
  resumeTx(txQueues: number): void {
    for (const pair of this.#all) {
      if (has(txQueues, pair)) {
        pair.tx.resume();
      }
    }
  }

  /** The last relay before the device is silent: all that is done reaches the guest. */
  finish(): void {
    for (const pair of this.#all) {
      // Paused first, so that taking descriptors back gives the device no new ones.
      pair.tx.pause();
      pair.rx.pause();
      pair.tx.complete();
      pair.rx.complete();
      pair.rx.markPosted();
    }
  }

  /** The device is at 0 of empty rings: the queues that the guest runs go on where the guest is. */
  go(txQueues: number, rxQueues: number, frames: readonly OwnFrame[]): void {
    // Buffers first: what is announced below brings frames at once.
    for (const pair of this.#all) {
      if (has(rxQueues, pair)) {
        pair.rx.start(pair.rx.position);
        pair.rx.forward();
      }
    }
    let own = frames;
    for (const pair of this.#all) {
      if (has(txQueues, pair)) {
        pair.tx.start(pair.tx.position);
        for (const frame of own) {
          pair.tx.inject(frame.iova, frame.length);
        }
        own = [];
        pair.tx.forward();
      }
    }
  }

  /** Sets where the guest stands, as another host saw it. Nothing moves until {@link go}. */
  place(states: readonly GuestQueueState[]): void {
    for (const state of states) {
      const pair = this.#pairs[state.queue];
      for (const [relay, position] of [
        [pair?.tx, state.tx],
        [pair?.rx, state.rx],
      ] as const) {
        relay?.start(position);
        relay?.pause();
      }
    }
  }

  /** Where the guest stands on every pair. */
  positions(): GuestQueueState[] {
    return this.#all.map((pair) => ({
      queue: pair.queue,
      tx: pair.tx.position,
      rx: pair.rx.position,
    }));
  }

  indices(): QueueIndices[] {
    return this.#all.map((pair) => ({
      queue: pair.queue,
      tx: pair.tx.position.complete,
      rx: pair.rx.position.complete,
    }));
  }
}

function has(queues: number, pair: QueuePair): boolean {
  return ((queues >>> pair.queue) & 1) === 1;
}
