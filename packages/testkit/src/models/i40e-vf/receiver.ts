import type { Clock, Logger } from "@vfmig/core";
import { RX_STATUS, rxTail } from "@vfmig/iavf";
import type { FrameVerdict } from "../../wire/port.ts";
import { classifyFrame, createFrameClass, type FrameClass } from "../net/classify.ts";
import { checksumStatus } from "../net/receive-checks.ts";
import { castKind, type Counters, type Tally } from "./counters.ts";
import type { Dma } from "./dma.ts";
import { macNumber, type ReceiveFilters } from "./filters.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Registers } from "./registers.ts";
import type { Rss } from "./rss.ts";
import { RxQueue, type FrameNotes } from "./rx-queue.ts";

/** Longest frame that the port passes, in bytes without FCS (hardware limit 9728 with it). */
const MAX_FRAME = 9_724;

/** Shortest frame that has an Ethernet header. */
const MIN_FRAME = 14;

/** Position of UMBCAST (0 unicast, 1 multicast, 2 broadcast) in the write-back's status. */
const UMBCAST_SHIFT = 9;

const TAG_BYTES = 4;

interface ReceiverParts {
  readonly registers: Registers;
  readonly interrupts: Interrupts;
  readonly dma: Dma;
  readonly rss: Rss;
  readonly filters: ReceiveFilters;
  readonly counters: Counters;
  readonly tally: Tally;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** From the wire to posted buffers: filters, queue choice, checks, write-back. */
export class Receiver {
  readonly queues: readonly RxQueue[];
  readonly #parts: ReceiverParts;
  readonly #found: FrameClass = createFrameClass();
  readonly #notes: FrameNotes = { status: 0, packetType: 0, hash: 0, tag: 0 };
  readonly #stripped: Uint8Array = new Uint8Array(MAX_FRAME);
  #scheduled = false;
  linkUp = true;

  constructor(queueCount: number, parts: ReceiverParts) {
    this.#parts = parts;
    this.queues = Array.from(
      { length: queueCount },
      (_, index) => new RxQueue(index, parts.registers, parts.dma),
    );
    for (const queue of this.queues) {
      parts.registers.hook(rxTail(queue.index), { written: () => this.#tailMoved(queue) });
    }
  }

  /** The wire's frame; not kept. */
  receive(frame: Uint8Array): FrameVerdict {
    const verdict = this.#take(frame);
    this.#parts.tally.verdicts[verdict]++;
    if (verdict === "accepted") this.#parts.counters.received(frame.length, castKind(frame));
    else if (verdict !== "filtered") this.#parts.counters.rxDiscards++;
    return verdict;
  }

  /** Stops every queue and forgets its context. */
  reset(): void {
    for (const queue of this.queues) this.cutOff(queue.reset());
  }

  /** Counts a frame that a stop cut off. */
  cutOff(happened: boolean): void {
    if (happened) this.#parts.tally.partialDropped++;
  }

  #take(frame: Uint8Array): FrameVerdict {
    const { dma, filters, rss } = this.#parts;
    if (!this.linkUp || !dma.master) return "queue-disabled";
    if (frame.length > MAX_FRAME) return "too-long";
    if (frame.length < MIN_FRAME) return "filtered";
    const found = this.#found;
    classifyFrame(frame, frame.length, found);
    if (!filters.accepts(macNumber(frame, 0), found.vlanTci)) return "filtered";
    const hash = rss.hash(frame, found);
    const queue = this.queues[rss.queue(hash)];
    if (queue === undefined || !queue.enabled) return "queue-disabled";
    this.#note(frame, hash);
    const strips = filters.stripVlan && found.vlanTci !== -1;
    const bytes = strips ? this.#strip(frame) : frame;
    const verdict = queue.receive(bytes, bytes.length, this.#notes);
    if (verdict === "dma-fault") this.#faulted(queue);
    this.#notify(queue);
    return verdict;
  }

  #note(frame: Uint8Array, hash: number): void {
    const found = this.#found;
    const notes = this.#notes;
    notes.status = (castKind(frame) << UMBCAST_SHIFT) | checksumStatus(frame, found);
    notes.packetType = found.packetType;
    notes.hash = 0;
    notes.tag = 0;
    if (hash === -1) return;
    notes.hash = hash;
    notes.status |= RX_STATUS.FLTSTAT_RSS;
  }

  /** Takes the outermost tag out of the frame and into the write-back. */
  #strip(frame: Uint8Array): Uint8Array {
    this.#notes.tag = this.#found.vlanTci;
    this.#notes.status |= RX_STATUS.L2TAG1P;
    this.#stripped.set(frame.subarray(0, 12));
    this.#stripped.set(frame.subarray(12 + TAG_BYTES), 12);
    return this.#stripped.subarray(0, frame.length - TAG_BYTES);
  }

  #notify(queue: RxQueue): void {
    if (!queue.wrote) return;
    queue.wrote = false;
    if (queue.vector !== -1) this.#parts.interrupts.queueEvent(queue.vector, queue.index);
  }

  #faulted(queue: RxQueue): void {
    this.#parts.logger.warn("receive queue stops: DMA outside mapped memory", {
      queue: queue.index,
    });
  }

  /** New descriptors, or bus mastering, let a frame go on that waited for them. */
  kick(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.soon(() => {
      this.#scheduled = false;
      if (!this.#parts.dma.master) return;
      for (const queue of this.queues) {
        if (!queue.resume()) this.#faulted(queue);
        this.#notify(queue);
      }
    });
  }

  #tailMoved(queue: RxQueue): void {
    if (queue.waits) this.kick();
  }
}
