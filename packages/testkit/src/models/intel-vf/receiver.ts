import { crc32 } from "node:zlib";
import type { Clock, Logger } from "@vfmig/core";
import { RX_STATUS, rxTail } from "@vfmig/iavf";
import type { FrameVerdict } from "../../wire/port.ts";
import { classifyFrame, createFrameClass, type FrameClass } from "../net/classify.ts";
import { checksumStatus } from "../net/receive-checks.ts";
import { castKind, type Counters, type Tally } from "./counters.ts";
import type { Dma } from "./dma.ts";
import { TAG_TYPE, macNumber, type ReceiveFilters } from "./filters.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Registers } from "./registers.ts";
import type { Rss } from "./rss.ts";
import { RxQueue } from "./rx-queue.ts";
import type { FrameNotes } from "./rx-write-back.ts";

/** Longest frame that the port passes, in bytes without FCS (hardware limit 9728 with it). */
const MAX_FRAME = 9_724;

/** Shortest frame that has an Ethernet header. */
const MIN_FRAME = 14;

/** Position of UMBCAST (0 unicast, 1 multicast, 2 broadcast) in the write-back's status. */
const UMBCAST_SHIFT = 9;

const TAG_BYTES = 4;
const FCS_BYTES = 4;

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
  /** Asks the link partner to hold frames, or to go on (802.3x). */
  readonly pause: (on: boolean) => void;
  /** The port runs in double VLAN mode: a first tag of any type is a VLAN. */
  readonly doubleVlan: boolean;
}

/** From the wire to posted buffers: filters, queue choice, checks, write-back. */
export class Receiver {
  readonly queues: readonly RxQueue[];
  readonly #parts: ReceiverParts;
  readonly #found: FrameClass;
  readonly #notes: FrameNotes = { status: 0, packetType: 0, hash: 0, tag: 0, tag2: -1 };
  /** The frame without its tags, or with its check sequence. */
  readonly #scratch: Uint8Array = new Uint8Array(MAX_FRAME + FCS_BYTES);
  #scheduled = false;
  #paused = false;
  linkUp = true;

  constructor(queueCount: number, parts: ReceiverParts) {
    this.#parts = parts;
    this.#found = createFrameClass(parts.doubleVlan);
    this.queues = Array.from(
      { length: queueCount },
      (_, index) =>
        new RxQueue(index, parts.registers, parts.dma, () => {
          if (this.#paused) this.#flowControl(false);
        }),
    );
    for (const queue of this.queues) {
      parts.registers.hook(rxTail(queue.index), { written: () => this.#tailMoved(queue) });
    }
  }

  /** True where a queue passes frames with their check sequence. */
  get keepsCrc(): boolean {
    return this.queues.some((queue) => queue.keepsCrc);
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

  /** Counts frames that a stop cut off. */
  cutOff(frames: number): void {
    this.#parts.tally.partialDropped += frames;
  }

  #take(frame: Uint8Array): FrameVerdict {
    const { dma, filters, rss } = this.#parts;
    if (!this.linkUp || !dma.master) return "queue-disabled";
    if (frame.length > MAX_FRAME) return "too-long";
    if (frame.length < MIN_FRAME) return "filtered";
    const found = this.#found;
    classifyFrame(frame, frame.length, found);
    const vlan = this.#parts.doubleVlan || found.tagType === TAG_TYPE.C_VLAN;
    const tci = vlan ? found.tagTci : -1;
    if (!filters.accepts(macNumber(frame, 0), found.tagType, tci)) return "filtered";
    const hash = rss.hash(frame, found);
    const queue = this.queues[rss.queue(hash)];
    if (queue === undefined || !queue.enabled) return "queue-disabled";
    this.#note(frame, hash);
    const bytes = queue.keepsCrc ? this.#withCrc(frame) : this.#strip(frame);
    const verdict = queue.receive(bytes, bytes.length, this.#notes);
    if (verdict === "dma-fault") this.#faulted(queue);
    else if (queue.waits && !queue.talks) this.#resume(queue);
    this.#notify(queue);
    if (!this.#paused && queue.low) this.#flowControl(true);
    return verdict;
  }

  #note(frame: Uint8Array, hash: number): void {
    const found = this.#found;
    const notes = this.#notes;
    notes.status = (castKind(frame) << UMBCAST_SHIFT) | checksumStatus(frame, found);
    notes.packetType = found.packetType;
    notes.hash = 0;
    notes.tag = 0;
    notes.tag2 = -1;
    if (hash === -1) return;
    notes.hash = hash;
    notes.status |= RX_STATUS.FLTSTAT_RSS;
  }

  /** Takes tags out of the frame and into the write-back, as the filters say. */
  #strip(frame: Uint8Array): Uint8Array {
    const { stripOuterType, stripVlan } = this.#parts.filters;
    const { tagType, tagTci, innerTci } = this.#found;
    const outer = stripOuterType !== 0 && tagType === stripOuterType;
    // Where the first tag stays in the frame, the tag for L2TAG1 is that one.
    const tci = outer ? innerTci : tagType === TAG_TYPE.C_VLAN ? tagTci : -1;
    const inner = stripVlan && tci !== -1;
    if (outer) this.#notes.tag2 = tagTci;
    if (inner) {
      this.#notes.tag = tci;
      this.#notes.status |= RX_STATUS.L2TAG1P;
    }
    const bytes = (outer ? TAG_BYTES : 0) + (inner ? TAG_BYTES : 0);
    if (bytes === 0) return frame;
    this.#scratch.set(frame.subarray(0, 12));
    this.#scratch.set(frame.subarray(12 + bytes), 12);
    return this.#scratch.subarray(0, frame.length - bytes);
  }

  /** The frame as it stands on the wire. Such a queue strips no tags: the PF allows only one of both. */
  #withCrc(frame: Uint8Array): Uint8Array {
    const whole = this.#scratch.subarray(0, frame.length + FCS_BYTES);
    whole.set(frame);
    const crc = crc32(frame);
    for (let byte = 0; byte < FCS_BYTES; byte++) whole[frame.length + byte] = crc >>> (8 * byte);
    this.#notes.status |= RX_STATUS.CRCP;
    return whole;
  }

  #notify(queue: RxQueue): void {
    if (!queue.wrote) return;
    queue.wrote = false;
    if (queue.vector !== -1) {
      this.#parts.interrupts.queueEvent(queue.vector, queue.index, queue.itr);
    }
  }

  #faulted(queue: RxQueue): void {
    this.cutOff(queue.disable());
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
        if (!queue.talks) this.#resume(queue);
        this.#notify(queue);
      }
    });
  }

  #resume(queue: RxQueue): void {
    const outcome = queue.resume();
    if (outcome === "fault") this.#faulted(queue);
    else if (outcome === "messages") void this.#talk(queue);
  }

  /** Brings what waits to memory by messages, in order, and tells the guest of each descriptor. */
  async #talk(queue: RxQueue): Promise<void> {
    queue.talks = true;
    while (queue.mayGoOn && this.#parts.dma.master) {
      if (!(await queue.resumeByMessages())) this.#faulted(queue);
      this.#notify(queue);
    }
    queue.talks = false;
  }

  #tailMoved(queue: RxQueue): void {
    if (queue.waits) this.kick();
    if (this.#paused && !queue.stillLow) this.#flowControl(false);
  }

  /** Frames are held while any queue runs out of descriptors: flow control knows the link only. */
  #flowControl(pause: boolean): void {
    if (!pause && this.queues.some((queue) => queue.stillLow)) return;
    this.#paused = pause;
    this.#parts.pause(pause);
  }
}
