import type { Clock } from "@vfmig/core";
import { RXDID, vectorControl } from "@vfmig/iavf";
import type { GuestRam } from "../guest/guest-ram.ts";
import type { GuestDriverOptions, GuestQueueIndices } from "../guest/options.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import type { RxFormat } from "../guest/ring-formats.ts";
import { countersOf, indicesOf, type QueueCounters } from "../guest/ring-sums.ts";
import { type FrameHandler, RxRing } from "../guest/rx-ring.ts";
import { TxRing } from "../guest/tx-ring.ts";
import { tagOf, withoutTag } from "../guest/vlan-tags.ts";
import type { Granted } from "./granted.ts";
import { QueueVector } from "./queue-vector.ts";
import { iavfFlexRxFormat, iavfRxFormat, iavfTxFormat, insertsTags } from "./ring-formats.ts";
import { receiveSizes, type Sizes } from "./sizes.ts";
import { txQueueOf } from "./tx-queue-choice.ts";

/** Longest frame that the 700 series sends, in bytes. */
const MAX_FRAME = 9728;

export interface QueueSetOptions {
  readonly slot: PciSlot;
  readonly ram: GuestRam;
  readonly clock: Clock;
  readonly onFrame: FrameHandler;
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
    const { slot, ram, clock, onFrame, pairs, ringSize, rxBuffer, txSegment } = options;
    const { rxFormat } = options;
    this.#insertsTags = options.insertsTags;
    this.#slot = slot;
    this.#clock = clock;
    this.vectors = Array.from(
      { length: options.vectors },
      (_, i) => new QueueVector({ slot, clock, onFrame, vector: i + 1 }),
    );
    const tx: TxRing[] = [];
    const rx: RxRing[] = [];
    for (let queue = 0; queue < pairs; queue++) {
      const place = { slot, ram, queue, size: ringSize };
      tx.push(new TxRing({ ...place, segment: txSegment, format: iavfTxFormat }));
      rx.push(new RxRing({ ...place, bufferSize: rxBuffer, format: rxFormat }));
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

  /** The vectors are masked too. */
  stop(): void {
    for (const { vector } of this.vectors) this.#slot.write32(vectorControl(vector), 0);
    this.disable();
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
    return countersOf(this.tx, this.rx);
  }

  get indices(): GuestQueueIndices[] {
    return indicesOf(this.tx, this.rx);
  }
}

/** The queues that a guest wants, as far as the PF grants them. */
export function queueSetOf(
  { resources, vlan, rxdid }: Granted,
  { queuePairs, ringSize, mtu }: Sizes,
  { ram, onFrame, txSegment = 1024 }: GuestDriverOptions,
  place: Pick<QueueSetOptions, "slot" | "clock">,
): QueueSet {
  const pairs = Math.min(resources.queuePairs, queuePairs);
  return new QueueSet({
    ...place,
    ram,
    onFrame,
    pairs,
    vectors: Math.min(pairs, resources.maxVectors - 1),
    ringSize,
    rxBuffer: receiveSizes(mtu, resources.maxFrame).buffer,
    txSegment,
    rxFormat: rxdid === RXDID.FLEX_NIC ? iavfFlexRxFormat : iavfRxFormat,
    insertsTags: insertsTags(resources, vlan),
  });
}
