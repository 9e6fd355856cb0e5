import type { Clock } from "@vfmig/core";
import { vectorControl } from "@vfmig/iavf";
import type { GuestRam } from "./guest-ram.ts";
import type { GuestQueueIndices } from "./options.ts";
import type { PciSlot } from "./pci-slot.ts";
import { QueueVector } from "./queue-vector.ts";
import type { RxFormat } from "./ring-formats.ts";
import { type FrameHandler, RxRing } from "./rx-ring.ts";
import { txQueueOf } from "./tx-queue-choice.ts";
import { TxRing } from "./tx-ring.ts";
import { tagOf, withoutTag } from "./vlan-tags.ts";

/** Longest frame that the 700 series sends, in bytes. */
const MAX_FRAME = 9728;

export interface QueueSetOptions {
  readonly slot: PciSlot;
  readonly ram: GuestRam;
  readonly clock: Clock;
  readonly onFrame: FrameHandler;
  /** Runs deferred work, and turns what it throws into the guest's fault. */
  readonly guard: (run: () => void) => void;
  readonly pairs: number;
  /** Queue vectors; pairs are spread over them in turn. */
  readonly vectors: number;
  readonly ringSize: number;
  /** Bytes of an Rx buffer that the device may fill, and of a Tx descriptor at most. */
  readonly rxBuffer: number;
  readonly txSegment: number;
  readonly rxFormat: RxFormat;
  /** The device inserts tags from descriptors. */
  readonly insertsTags: boolean;
}

/** Sums over all rings. */
export interface QueueCounters {
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txFrames: number;
  readonly txBytes: number;
  readonly txCompleted: number;
  readonly txDropped: number;
}

/** The queue pairs of a guest and their vectors. */
export class QueueSet {
  readonly vectors: readonly QueueVector[];
  readonly tx: readonly TxRing[];
  readonly rx: readonly RxRing[];
  readonly #slot: PciSlot;
  readonly #clock: Clock;
  readonly #insertsTags: boolean;
  readonly #untagged = new Uint8Array(MAX_FRAME);
  #enabled = false;

  constructor(options: QueueSetOptions) {
    const { slot, ram, clock, onFrame, guard, pairs, ringSize, rxBuffer, txSegment } = options;
    const { rxFormat } = options;
    this.#insertsTags = options.insertsTags;
    this.#slot = slot;
    this.#clock = clock;
    this.vectors = Array.from(
      { length: options.vectors },
      (_, i) => new QueueVector({ slot, clock, onFrame, guard, vector: i + 1 }),
    );
    const tx: TxRing[] = [];
    const rx: RxRing[] = [];
    for (let queue = 0; queue < pairs; queue++) {
      tx.push(new TxRing(slot, ram, queue, ringSize, txSegment));
      rx.push(new RxRing(slot, ram, queue, ringSize, rxBuffer, rxFormat));
      const vector = this.vectors[queue % this.vectors.length];
      vector?.tx.push(...tx.slice(-1));
      vector?.rx.push(...rx.slice(-1));
    }
    this.tx = tx;
    this.rx = rx;
  }

  /** True between the answer to ENABLE_QUEUES and the queues' end. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** Rings anew, all Rx buffers posted, Rx tails written. */
  reset(): void {
    for (const ring of [...this.tx, ...this.rx]) ring.reset();
  }

  writeIntervals(): void {
    for (const vector of this.vectors) vector.writeIntervals();
  }

  enable(): void {
    this.#enabled = true;
    for (const vector of this.vectors) vector.enable();
  }

  /** Nothing is polled any more; the device is not touched. */
  disable(): void {
    this.#enabled = false;
    for (const vector of this.vectors) vector.disable();
  }

  maskVectors(): void {
    for (const { vector } of this.vectors) this.#slot.write32(vectorControl(vector), 0);
  }

  /** False where the ring has no room, or the queues do not run. */
  send(frame: Uint8Array): boolean {
    if (!this.#enabled) return false;
    const ring = this.tx[txQueueOf(frame, this.tx.length)];
    const tag = this.#insertsTags ? tagOf(frame) : -1;
    const bytes = tag < 0 ? frame : withoutTag(frame, this.#untagged);
    return ring?.send(bytes, this.#clock.now(), tag) ?? false;
  }

  /** @throws GuestFault */
  checkStall(): void {
    for (const vector of this.vectors) vector.checkStall();
  }

  get counters(): QueueCounters {
    return {
      rxFrames: sum(this.rx, (ring) => ring.packets),
      rxBytes: sum(this.rx, (ring) => ring.bytes),
      rxErrors: sum(this.rx, (ring) => ring.errors),
      txFrames: sum(this.tx, (ring) => ring.packets),
      txBytes: sum(this.tx, (ring) => ring.bytes),
      txCompleted: sum(this.tx, (ring) => ring.completed),
      txDropped: sum(this.tx, (ring) => ring.dropped),
    };
  }

  get indices(): GuestQueueIndices[] {
    return this.tx.map((tx, i) => ({
      queue: tx.queue,
      txNextToUse: tx.nextToUse,
      txNextToClean: tx.nextToClean,
      rxNextToUse: this.rx[i]?.nextToUse ?? 0,
      rxNextToClean: this.rx[i]?.nextToClean ?? 0,
    }));
  }
}

/** Counters before there are queues. */
export const NO_QUEUE_COUNTERS: QueueCounters = {
  rxFrames: 0,
  rxBytes: 0,
  rxErrors: 0,
  txFrames: 0,
  txBytes: 0,
  txCompleted: 0,
  txDropped: 0,
};

function sum<Ring>(rings: readonly Ring[], of: (ring: Ring) => number): number {
  return rings.reduce((total, ring) => total + of(ring), 0);
}
