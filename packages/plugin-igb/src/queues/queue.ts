import type { DirtySink, GuestMemory, Logger } from "@vfmig/core";
import { type RelayFault, type RingCodec, type RingPosition, RingRelay } from "@vfmig/shadow-queue";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { QUEUE, QUEUE_ENABLE } from "../registers/registers.ts";
import { DESCRIPTOR_SIZE } from "./codecs.ts";
import { judgeRing } from "./judge.ts";
import { RingMemory } from "./ring-memory.ts";

/** A queue as the guest programmed it, for saving. */
export interface QueueState {
  readonly baseLow: number;
  readonly baseHigh: number;
  /** Descriptors. */
  readonly count: number;
  /** RXDCTL or TXDCTL without the enable bit. */
  readonly control: number;
  /** DCA control, which is kept for the guest and never given to the device. */
  readonly dca: number;
  readonly head: number;
  readonly tail: number;
  /** Where the guest stands; null while the queue is off. */
  readonly position: RingPosition | null;
}

export interface QueueParts {
  readonly registers: RegisterAccess;
  readonly memory: GuestMemory;
  readonly dirty: DirtySink;
  readonly logger: Logger;
  readonly allocate: ConstructorParameters<typeof RingMemory>[0];
  /** Sets the device's interrupts up; before it can raise one. */
  readonly arm: () => void;
  /** Whether the device may be told now; else {@link RelayedQueue.go} will. */
  readonly live: () => boolean;
}

/** QEMU and the manual both ignore the lowest bits of a base. */
const BASE_LOW_MASK = 0xffff_ffe0;
const LENGTH_MASK = 0xf_fff0;
const CONTROL_MASK = 0x001f_1f1f;
const HIGH = 0x1_0000_0000;

/**
 * One direction of the first queue pair as the guest sees it, and the private ring that the device runs
 * meanwhile. The guest's registers are its own; the device's head starts at 0 each time.
 */
export abstract class RelayedQueue {
  readonly name: string;
  protected readonly parts: QueueParts;
  /** Offset of the queue's first register. */
  protected readonly at: number;
  readonly #memory: RingMemory;
  #low = 0;
  #high = 0;
  #length = 0;
  #control = 0;
  #dca = 0;
  #head = 0;
  #tail = 0;
  #relay: RingRelay | undefined;
  #deviceTail = 0;

  protected constructor(name: string, at: number, parts: QueueParts) {
    this.name = name;
    this.at = at;
    this.parts = parts;
    this.#memory = new RingMemory(parts.allocate);
  }

  get enabled(): boolean {
    return this.#relay !== undefined;
  }

  get relay(): RingRelay | undefined {
    return this.#relay;
  }

  /** The device's head in the private ring. It can be read at any time, and is exact once EN is off. */
  get deviceHead(): number {
    return this.parts.registers.read(this.at + QUEUE.HEAD) & 0xffff;
  }

  /** The tail that the device was told. */
  get deviceTail(): number {
    return this.#deviceTail;
  }

  /** Slots of the private ring. */
  get deviceSlots(): number {
    return RingMemory.count(this.#count);
  }

  /** The next slot of the guest's that will be completed. */
  get index(): number {
    return this.#relay?.position.complete ?? this.#head;
  }

  /** The queue's format, made anew each time it is switched on. */
  protected abstract codec(): RingCodec;
  /** Why the guest's settings cannot be relayed, beyond its ring. */
  protected abstract judge(): string | undefined;
  /** Registers of the device that only one direction has; before the queue is enabled. */
  protected abstract programExtra(): void;

  /** Undefined where the queue has no such register. @param register - from the queue's first */
  read(register: number): number | undefined {
    switch (register) {
      case QUEUE.BAL:
        return this.#low;
      case QUEUE.BAH:
        return this.#high;
      case QUEUE.LEN:
        return this.#length;
      case QUEUE.HEAD:
        return this.index;
      case QUEUE.DCA:
        return this.#dca;
      case QUEUE.TAIL:
        return this.#tail;
      case QUEUE.CONTROL:
        return (this.#control | (this.enabled ? QUEUE_ENABLE : 0)) >>> 0;
      default:
        return undefined;
    }
  }

  /** False where the queue has no such register. */
  write(register: number, value: number): boolean {
    switch (register) {
      case QUEUE.BAL:
        this.#low = (value & BASE_LOW_MASK) >>> 0;
        return true;
      case QUEUE.BAH:
        this.#high = value;
        return true;
      case QUEUE.LEN:
        this.#length = value & LENGTH_MASK;
        return true;
      case QUEUE.HEAD:
        // A head that moves under a running queue is no driver's.
        if (!this.enabled) this.#head = value & 0xffff;
        return true;
      case QUEUE.DCA:
        this.#dca = value;
        return true;
      case QUEUE.TAIL:
        this.#tail = value & 0xffff;
        this.#relay?.kick(this.#tail);
        return true;
      case QUEUE.CONTROL:
        this.#writeControl(value);
        return true;
      default:
        return false;
    }
  }

  #writeControl(value: number): void {
    this.#control = value & CONTROL_MASK;
    const wanted = (value & QUEUE_ENABLE) !== 0;
    if (wanted && !this.enabled) this.#enable();
    else if (!wanted && this.enabled) this.#disable();
  }

  #enable(): void {
    const { logger, memory } = this.parts;
    const settings = { base: this.#base, count: this.#count };
    const problem = judgeRing(settings, memory) ?? this.judge();
    if (problem !== undefined || this.#head >= settings.count) {
      const why = problem ?? `its head ${this.#head} is outside the ring`;
      logger.warn(`the guest's ${this.name} queue is refused: ${why}`, settings);
      return;
    }
    this.#place({ complete: this.#head, tail: this.#head });
    if (this.parts.live()) {
      this.parts.arm();
      this.go([]);
    }
    this.#relay?.kick(this.#tail);
  }

  #disable(): void {
    if (this.parts.live()) this.silence();
    const relay = this.#relay;
    relay?.complete();
    relay?.pause();
    relay?.markPosted();
    this.#head = this.index;
    this.#relay = undefined;
  }

  /** A relay on a fresh private ring, with the guest at `position`; nothing moves until {@link go}. */
  #place(position: RingPosition): void {
    const { memory, dirty, registers, logger } = this.parts;
    this.#deviceTail = 0;
    const relay = new RingRelay({
      codec: this.codec(),
      memory,
      dirty,
      guest: { base: this.#base, count: this.#count },
      ring: this.#memory.ring(this.#count),
      doorbell: (tail) => {
        this.#deviceTail = tail;
        registers.write(this.at + QUEUE.TAIL, tail);
      },
      onFault: (fault) => report(logger, this.name, fault),
    });
    relay.start(position);
    relay.pause();
    this.#relay = relay;
  }

  /**
   * Starts the device at 0 of its empty ring, sends what is ours to send, and what the guest has posted.
   * @param frames - of our own, in memory that the device reaches
   */
  go(frames: readonly { readonly iova: number; readonly length: number }[]): void {
    const relay = this.#relay;
    if (relay === undefined) return;
    this.#program();
    relay.start(relay.position);
    this.beforeGuest(relay, frames);
    relay.forward();
  }

  /** What goes out ahead of the guest's descriptors. */
  protected beforeGuest(
    _relay: RingRelay,
    _frames: readonly { readonly iova: number; readonly length: number }[],
  ): void {}

  #program(): void {
    const { registers } = this.parts;
    const write = (register: number, value: number): void =>
      registers.write(this.at + register, value);
    this.#memory.ring(this.#count);
    this.#deviceTail = 0;
    write(QUEUE.CONTROL, this.#control);
    write(QUEUE.BAL, this.#memory.iova >>> 0);
    write(QUEUE.BAH, Math.floor(this.#memory.iova / HIGH));
    write(QUEUE.LEN, this.deviceSlots * DESCRIPTOR_SIZE);
    write(QUEUE.HEAD, 0);
    write(QUEUE.TAIL, 0);
    this.programExtra();
    write(QUEUE.CONTROL, (this.#control | QUEUE_ENABLE) >>> 0);
  }

  /** The device's queue off. */
  silence(): void {
    this.parts.registers.write(this.at + QUEUE.CONTROL, this.#control);
  }

  /** True once the device says that its queue is off. */
  get silent(): boolean {
    const control = this.parts.registers.read(this.at + QUEUE.CONTROL);
    return (control & QUEUE_ENABLE) === 0;
  }

  /** Takes finished descriptors to the guest; returns how many slots. */
  complete(): number {
    return this.#relay?.complete() ?? 0;
  }

  /** The last relay before the device is silent: all that is done reaches the guest. */
  finish(): void {
    const relay = this.#relay;
    // Paused first, so that taking descriptors back gives the device no new ones.
    relay?.pause();
    relay?.complete();
    relay?.markPosted();
  }

  /** The VF was reset: the guest's registers with it. */
  reset(): void {
    this.#relay?.pause();
    this.#relay?.markPosted();
    this.#relay = undefined;
    this.#low = 0;
    this.#high = 0;
    this.#length = 0;
    this.#control = 0;
    this.#dca = 0;
    this.#head = 0;
    this.#tail = 0;
  }

  protected saveQueue(): QueueState {
    return {
      baseLow: this.#low,
      baseHigh: this.#high,
      count: this.#count,
      control: this.#control,
      dca: this.#dca,
      head: this.#head,
      tail: this.#tail,
      position: this.#relay?.position ?? null,
    };
  }

  protected loadQueue(state: QueueState): void {
    this.reset();
    this.#low = (state.baseLow & BASE_LOW_MASK) >>> 0;
    this.#high = state.baseHigh;
    this.#length = state.count * DESCRIPTOR_SIZE;
    this.#control = state.control;
    this.#dca = state.dca;
    this.#head = state.head;
    this.#tail = state.tail;
  }

  /** After {@link loadQueue} and what the direction itself has loaded. */
  protected placeLoaded(state: QueueState): void {
    if (state.position !== null) this.#place(state.position);
  }

  close(): void {
    this.#relay?.pause();
    this.#memory.close();
  }

  get #base(): number {
    return this.#low + this.#high * HIGH;
  }

  get #count(): number {
    return this.#length / DESCRIPTOR_SIZE;
  }
}

function report(logger: Logger, queue: string, fault: RelayFault): void {
  logger.warn(`the relay of the ${queue} queue waits: ${fault.kind}`, { queue, ...fault });
}
