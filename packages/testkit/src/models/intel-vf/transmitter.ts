import type { Clock, Logger } from "@vfmig/core";
import { txTail } from "@vfmig/iavf";
import { castKind, type Counters, type Tally } from "./counters.ts";
import type { Dma, DmaOutcome } from "./dma.ts";
import { TAG_TYPE, macNumber, type ReceiveFilters } from "./filters.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Registers } from "./registers.ts";
import { applyChecksums, offloadFits, readTxOffload } from "./tx-offload.ts";
import { TxPacket } from "./tx-packet.ts";
import { TxQueue } from "./tx-queue.ts";
import { cutSegments, segmentable } from "./tx-segments.ts";
import { mayUseVlan, putTag } from "./tx-tags.ts";

/** Descriptors that one queue may take in one turn of the event loop. */
const BUDGET = 256;

/** Longest frame before tags, and the port's pad size, in bytes without FCS. */
const MAX_FRAME = 9_724;
const MIN_WIRE_FRAME = 60;

/** Shortest packet that the hardware takes. */
const MIN_PACKET = 17;

interface TransmitterParts {
  readonly registers: Registers;
  readonly interrupts: Interrupts;
  readonly dma: Dma;
  readonly filters: ReceiveFilters;
  readonly counters: Counters;
  readonly tally: Tally;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly spoofCheck: boolean;
  /** The port runs in double VLAN mode: a first tag of any type is a VLAN. */
  readonly doubleVlan: boolean;
  /** To the wire; the bytes are not kept. */
  transmit(frame: Uint8Array): void;
}

/** From guest descriptors to the wire. Work begins in the turn after a tail write. */
export class Transmitter {
  readonly queues: readonly TxQueue[];
  readonly #parts: TransmitterParts;
  readonly #packet: TxPacket = new TxPacket();
  readonly #segment: Uint8Array = new Uint8Array(MAX_FRAME);
  readonly #wire: Uint8Array = new Uint8Array(MAX_FRAME + 8);
  #scheduled = false;
  /** Messages are waited for. All queues stand still, since they share the packet that is gathered. */
  #waits = false;
  /** The queue whose turn is first. */
  #first = 0;
  linkUp = true;

  constructor(queueCount: number, parts: TransmitterParts) {
    this.#parts = parts;
    this.queues = Array.from(
      { length: queueCount },
      (_, index) => new TxQueue(index, parts.registers, parts.dma),
    );
    const kick = { written: () => this.kick() };
    for (const queue of this.queues) parts.registers.hook(txTail(queue.index), kick);
  }

  /** Looks at all queues in a later turn of the event loop. */
  kick(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.soon(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#waits) return;
    const count = this.queues.length;
    let more = false;
    for (let step = 0; step < count; step++) {
      const at = (this.#first + step) % count;
      more = this.#run(this.queues[at]!) || more;
      if (!this.#waits) continue;
      // The others come first once the messages are answered.
      this.#first = (at + 1) % count;
      return;
    }
    if (more) this.kick();
  }

  /** Stops every queue and forgets its context. */
  reset(): void {
    for (const queue of this.queues) queue.reset();
  }

  /** Works on one queue; true where its budget ended before its work. */
  #run(queue: TxQueue): boolean {
    if (!queue.enabled || !this.#parts.dma.master) return false;
    let more = true;
    for (let used = 0; more && used < BUDGET;) {
      const step = queue.step(this.#packet, MAX_FRAME);
      if (step === "packet") {
        used += queue.packetDescriptors;
        more = this.#send(queue);
      } else if (step === "idle") {
        used++;
        this.#parts.tally.idleDescriptors++;
      } else {
        more = false;
        if (step === "fault") this.#fault(queue);
        else if (step === "messages") void this.#await(queue, queue.fetch());
        else if (step === "malicious") this.#malicious(queue, queue.offence);
      }
    }
    this.#report(queue);
    return more && !this.#waits;
  }

  /** Reads the packet's buffers, sends it and reports it; false where the queue had to stop. */
  #send(queue: TxQueue): boolean {
    const gathered = this.#gather();
    if (gathered === "done") return this.#sendGathered(queue);
    if (gathered === "fault") this.#fault(queue);
    else void this.#await(queue, this.#fetchPacket(), () => void this.#sendGathered(queue));
    return false;
  }

  #sendGathered(queue: TxQueue): boolean {
    const offence = this.#check();
    if (offence !== undefined) {
      this.#malicious(queue, offence);
      return false;
    }
    this.#emitPacket();
    if (queue.complete()) return true;
    this.#fault(queue);
    return false;
  }

  #gather(): DmaOutcome {
    const packet = this.#packet;
    for (let index = 0, at = 0; index < packet.buffers; index++) {
      const address = packet.addresses[index]!;
      const size = packet.sizes[index]!;
      const outcome = this.#parts.dma.read(address, packet.bytes.subarray(at, at + size));
      if (outcome !== "done") return outcome;
      at += size;
    }
    return "done";
  }

  /** As {@link Transmitter.#gather}, wherever the buffers are; all at a time. */
  async #fetchPacket(): Promise<boolean> {
    const packet = this.#packet;
    const answers: Promise<boolean>[] = [];
    for (let index = 0, at = 0; index < packet.buffers; index++) {
      const size = packet.sizes[index]!;
      const part = packet.bytes.subarray(at, at + size);
      answers.push(Promise.resolve(this.#parts.dma.fetch(packet.addresses[index]!, part)));
      at += size;
    }
    return (await Promise.all(answers)).every(Boolean);
  }

  /** Goes on with `queue` after `messages`, unless it was stopped meanwhile; then with every queue. */
  async #await(queue: TxQueue, messages: Promise<boolean>, next?: () => void): Promise<void> {
    this.#waits = true;
    const { life } = queue;
    const done = await messages;
    this.#waits = false;
    if (queue.life === life) this.#answered(queue, done, next);
    this.kick();
  }

  /** Without bus mastering the packet stays in its ring. */
  #answered(queue: TxQueue, done: boolean, next: (() => void) | undefined): void {
    if (!done) this.#fault(queue);
    if (!this.#parts.dma.master) return;
    if (done) next?.();
    this.#report(queue);
  }

  #check(): string | undefined {
    const packet = this.#packet;
    const { offload, length } = packet;
    if (length < MIN_PACKET) return `a packet of ${length} bytes`;
    readTxOffload(packet.low, packet.high, packet.tunnel, offload);
    if (!offloadFits(offload, length)) return "header lengths that do not fit the packet";
    if (!packet.tso) return undefined;
    if (!segmentable(offload, length, packet.mss, packet.tsoLength, MAX_FRAME)) {
      return "a segmentation request that does not fit the packet";
    }
    return packet.overChained ? "a segment of more than 8 data descriptors" : undefined;
  }

  #emitPacket(): void {
    const packet = this.#packet;
    if (packet.tso) {
      cutSegments(
        packet.bytes,
        packet.length,
        packet.mss,
        packet.offload,
        this.#segment,
        (length) => this.#emit(this.#segment, length),
      );
      return;
    }
    applyChecksums(packet.bytes, packet.length, packet.offload);
    this.#emit(packet.bytes, packet.length);
  }

  /** One frame: spoof check, tags, pad, wire. */
  #emit(bytes: Uint8Array, length: number): void {
    const { counters, filters, tally } = this.#parts;
    if (this.#parts.spoofCheck && !filters.macs.has(macNumber(bytes, 6))) {
      tally.spoofed++;
      counters.txErrors++;
      return;
    }
    if (!mayUseVlan(bytes, this.#packet, filters, this.#parts.doubleVlan)) {
      tally.spoofed++;
      counters.txErrors++;
      return;
    }
    if (!this.linkUp) {
      tally.linkDown++;
      counters.txDiscards++;
      return;
    }
    const frame = this.#toWire(bytes, length);
    counters.sent(frame.length, castKind(frame));
    tally.transmitted++;
    this.#parts.transmit(frame);
  }

  /** The frame as it goes out: with its tags, and padded. */
  #toWire(bytes: Uint8Array, length: number): Uint8Array {
    const outerType = this.#parts.filters.insertOuterType;
    const outerTag = outerType === 0 ? -1 : this.#packet.outerTag;
    const { tag } = this.#packet;
    if (outerTag === -1 && tag === -1 && length >= MIN_WIRE_FRAME) return bytes.subarray(0, length);
    const wire = this.#wire;
    wire.set(bytes.subarray(0, 12));
    let at = 12;
    if (outerTag !== -1) at = putTag(wire, at, outerType, outerTag);
    if (tag !== -1) at = putTag(wire, at, TAG_TYPE.C_VLAN, tag);
    wire.set(bytes.subarray(12, length), at);
    const size = at + length - 12;
    if (size >= MIN_WIRE_FRAME) return wire.subarray(0, size);
    wire.fill(0, size, MIN_WIRE_FRAME);
    return wire.subarray(0, MIN_WIRE_FRAME);
  }

  /** Tells the guest what was done: by an interrupt, and before it in the ring, where messages write that. */
  #report(queue: TxQueue): void {
    if (!queue.wrote || this.#waits) return;
    if (queue.owes) {
      void this.#await(queue, queue.flush());
      return;
    }
    queue.wrote = false;
    if (queue.vector === -1 || !queue.causeOpen) return;
    this.#parts.interrupts.queueEvent(queue.vector, queue.index, queue.itr);
  }

  #fault(queue: TxQueue): void {
    queue.halt();
    this.#parts.counters.txErrors++;
    this.#parts.logger.warn("transmit queue stops: DMA outside mapped memory", {
      queue: queue.index,
    });
  }

  /** What the hardware calls a malicious driver event: the queue stops until it is set up again. */
  #malicious(queue: TxQueue, offence: string): void {
    queue.halt();
    this.#parts.counters.txErrors++;
    this.#parts.tally.maliciousEvents++;
    this.#parts.logger.warn("malicious driver event: transmit queue stops", {
      queue: queue.index,
      offence,
    });
  }
}
