import type { MemorySpan } from "@vfmig/core";
import {
  TX_COMMAND,
  TX_CONTEXT_COMMAND,
  TX_DESCRIPTOR_SIZE,
  TX_DTYPE,
  VF_REGISTER,
  txAddress,
  txHigh,
  txLow,
  writeTxDone,
  type TxQueueConfig,
} from "@vfmig/iavf";
import type { Dma } from "./dma.ts";
import type { Registers } from "./registers.ts";
import { RingCopy } from "./ring-copy.ts";
import { CONTEXT_UNIT } from "./rx-queue.ts";
import type { TxPacket } from "./tx-packet.ts";

/** Bits of a context descriptor's low half that make it more than a NOP. */
const CONTEXT_COMMANDS =
  TX_CONTEXT_COMMAND.TSO |
  TX_CONTEXT_COMMAND.TSYN |
  TX_CONTEXT_COMMAND.IL2TAG2 |
  TX_CONTEXT_COMMAND.SWITCH_MASK;

/** How one step of a queue ended. */
export type TxStep =
  /** A packet is in the scratch, its descriptors not yet written back. */
  | "packet"
  /** A DUMMY or an empty context descriptor was consumed. */
  | "idle"
  /** Nothing whole stands before the tail. */
  | "empty"
  /** Memory failed. */
  | "fault"
  /** Only messages reach the descriptors: {@link TxQueue.fetch} them, and step again. */
  | "messages"
  /** The descriptors break the rules; see {@link TxQueue.offence}. */
  | "malicious";

/** One transmit queue. Its head is the hardware's own: nothing outside can read or set it. */
export class TxQueue {
  readonly index: number;
  readonly #registers: Registers;
  readonly #dma: Dma;
  #length = 0;
  #base = 0;
  #head = 0;
  #enabled = false;
  #packetEnd = 0;
  #offence = "";
  /** Where the ring, or a part of it, came without a file. */
  #copy: RingCopy | undefined;
  #life = 0;
  /** MSI-X vector of its cause, or -1, and its throttle index. */
  vector = -1;
  itr = 0;
  /** The cause is let through; ice opens and shuts it apart from the queue. */
  causeOpen = true;
  /** Descriptors were written back since this was last cleared. */
  wrote = false;

  constructor(index: number, registers: Registers, dma: Dma) {
    this.index = index;
    this.#registers = registers;
    this.#dma = dma;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Another number after each stop and each new context. */
  get life(): number {
    return this.#life;
  }

  /** Descriptors were reported that the guest has not got yet. */
  get owes(): boolean {
    return this.#copy !== undefined && this.#copy.owes;
  }

  /** Address of the ring in the queue's context, as the PF wrote it. */
  get base(): number {
    return this.#base;
  }

  /** Ready to be enabled: a context with a ring. */
  get usable(): boolean {
    return this.#length > 0;
  }

  /** What the last "malicious" step met. */
  get offence(): string {
    return this.#offence;
  }

  /** Descriptors of the packet last returned, context descriptor included. */
  get packetDescriptors(): number {
    return (this.#packetEnd - this.#head + this.#length) % this.#length;
  }

  /** Writes a new context, whose head is 0, running or not. */
  configure(config: TxQueueConfig): void {
    this.#length = config.length;
    this.#base = config.base - (config.base % CONTEXT_UNIT);
    this.#head = 0;
    this.#begin();
  }

  /** Enabling starts at 0 with nothing to do; the driver's next tail write is the first work. */
  enable(): void {
    this.#head = 0;
    this.#begin();
    this.wrote = false;
    this.#registers.set(VF_REGISTER.QTX_TAIL1 + 4 * this.index, 0);
    this.#enabled = true;
  }

  disable(): void {
    this.#enabled = false;
    this.#begin();
  }

  /** Takes no more; what it did already is still reported. */
  halt(): void {
    this.#enabled = false;
  }

  /** What was under way for the queue is not its own any more. */
  #begin(): void {
    this.#copy?.close();
    this.#copy = undefined;
    this.#life++;
  }

  /** Forgets the context, as a reset does. */
  reset(): void {
    this.disable();
    this.#length = 0;
    this.vector = -1;
    this.itr = 0;
    this.causeOpen = true;
  }

  /** Takes what stands at the head: gathers the next packet's descriptors into `packet`, or skips one. */
  step(packet: TxPacket, maxFrame: number): TxStep {
    const tail = this.#registers.get(VF_REGISTER.QTX_TAIL1 + 4 * this.index);
    if (!this.#enabled || tail === this.#head) return "empty";
    if (tail >= this.#length) return this.#malicious("a tail beyond the ring");
    packet.clear();
    for (let at = this.#head; at !== tail; at = (at + 1) % this.#length) {
      const place = this.#base + at * TX_DESCRIPTOR_SIZE;
      const ring = this.#descriptor(at, place);
      if (ring === undefined) return this.#dma.without(place, TX_DESCRIPTOR_SIZE, "read");
      const offset = place - ring.base;
      const step = this.#take(packet, at, ring.data, offset, maxFrame);
      if (step !== undefined) return step;
    }
    return "empty";
  }

  /** Gets what stands between head and tail by messages; false where nothing reaches it. */
  fetch(): Promise<boolean> {
    const { QTX_TAIL1 } = VF_REGISTER;
    const ring = { base: this.#base, length: this.#length, size: TX_DESCRIPTOR_SIZE };
    this.#copy ??= new RingCopy(this.#dma, ring);
    return this.#copy.fetch(this.#head, this.#registers.get(QTX_TAIL1 + 4 * this.index));
  }

  /** Tells the guest what it is owed; false where nothing reaches the ring. */
  async flush(): Promise<boolean> {
    return this.#copy === undefined || (await this.#copy.flush());
  }

  /** Where the descriptor at ring place `at` can be read at once. */
  #descriptor(at: number, place: number): MemorySpan | undefined {
    if (this.#copy !== undefined) {
      const held = this.#copy.find((at - this.#head + this.#length) % this.#length);
      if (held !== undefined) return held;
    }
    return this.#dma.readable(place, TX_DESCRIPTOR_SIZE);
  }

  /** After the buffers were read: reports the packet's RS descriptors in ring order and moves on. */
  complete(): boolean {
    for (; this.#head !== this.#packetEnd; this.#head = (this.#head + 1) % this.#length) {
      if (!this.#writeBack(this.#head)) return false;
      this.#copy?.taken();
    }
    return true;
  }

  /** One descriptor at ring place `at`; undefined where the packet goes on. */
  #take(
    packet: TxPacket,
    at: number,
    data: DataView,
    offset: number,
    maxFrame: number,
  ): TxStep | undefined {
    const low = txLow(data, offset);
    const high = txHigh(data, offset);
    const begun = packet.context || packet.buffers > 0;
    switch (low & TX_DTYPE.MASK) {
      case TX_DTYPE.CONTEXT:
        if (begun) return this.#malicious("a context descriptor inside a packet");
        return this.#context(packet, low, high, data, offset);
      case TX_DTYPE.DATA:
        if ((low & TX_COMMAND.DUMMY) !== 0) {
          return begun ? this.#malicious("a DUMMY inside a packet") : this.#skip();
        }
        return this.#data(packet, at, low, high, txAddress(data, offset), maxFrame);
      default:
        return this.#malicious(`descriptor type ${low & TX_DTYPE.MASK}`);
    }
  }

  #context(
    packet: TxPacket,
    low: number,
    high: number,
    data: DataView,
    offset: number,
  ): TxStep | undefined {
    const tunnel = data.getUint32(offset, true);
    if ((low & CONTEXT_COMMANDS) === 0 && tunnel === 0) return this.#skip();
    packet.setContext(tunnel, data.getUint32(offset + 4, true), low, high);
    return undefined;
  }

  #data(
    packet: TxPacket,
    at: number,
    low: number,
    high: number,
    address: number,
    maxFrame: number,
  ): TxStep | undefined {
    const wrong = packet.add(address, low, high, maxFrame);
    if (wrong !== undefined) return this.#malicious(wrong);
    if ((low & TX_COMMAND.EOP) === 0) return undefined;
    this.#packetEnd = (at + 1) % this.#length;
    return "packet";
  }

  /** Consumes the descriptor at the head, which sends nothing. */
  #skip(): TxStep {
    this.#packetEnd = (this.#head + 1) % this.#length;
    return this.complete() ? "idle" : "fault";
  }

  #writeBack(at: number): boolean {
    const place = this.#base + at * TX_DESCRIPTOR_SIZE;
    const ring = this.#descriptor(at, place);
    if (ring === undefined) return this.#unreachable(place, "read");
    const offset = place - ring.base;
    const low = txLow(ring.data, offset);
    const data = (low & TX_DTYPE.MASK) === TX_DTYPE.DATA;
    if (!data || (low & TX_COMMAND.RS) === 0) return true;
    if (this.#copy !== undefined && ring === this.#copy.span) {
      this.#copy.owe(at);
    } else if (this.#dma.writable(place, TX_DESCRIPTOR_SIZE) === undefined) {
      return this.#unreachable(place, "write");
    }
    writeTxDone(ring.data, offset);
    this.wrote = true;
    return true;
  }

  /** A descriptor that was there when its packet was read went away. */
  #unreachable(place: number, access: "read" | "write"): false {
    this.#dma.without(place, TX_DESCRIPTOR_SIZE, access);
    return false;
  }

  #malicious(offence: string): TxStep {
    this.#offence = offence;
    return "malicious";
  }
}
