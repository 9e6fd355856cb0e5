import type { DirtySink, GuestMemory, Logger } from "@vfmig/core";
import { type RelayFault, type RingCodec, type RingPosition, RingRelay } from "@vfmig/shadow-queue";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { QUEUE, QUEUE_ENABLE } from "../registers/registers.ts";
import { DESCRIPTOR_SIZE } from "./codecs.ts";
import { GuestRing } from "./guest-ring.ts";
import { judgeRing } from "./judge.ts";
import { QueueRegisters, type QueueSettingsState } from "./queue-registers.ts";
import { RingMemory } from "./ring-memory.ts";

/** A queue as the guest programmed it, for saving. */
export interface QueueState extends QueueSettingsState {
  /** Where the guest stands; null while the queue is off. */
  readonly position: RingPosition | null;
}

/** Why a queue on the guest's own ring could not be relayed: for what it is, or for where its guest is. */
export interface QueueProblem {
  readonly code: "ERR_VFMIG_VF_FEATURE" | "ERR_VFMIG_VF_POSITION";
  readonly why: string;
}

/** Where a device that works on the guest's own ring stands in it. */
export interface RingPlace {
  /** The next slot to be finished. */
  readonly slot: number;
  /** The head has passed slots that the ring does not show as finished; `slot` is the first of them. */
  readonly waiting: boolean;
  /** The guest holds the beginning of a frame whose rest will never come. */
  readonly half: boolean;
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
  /** The guest has switched a queue off. */
  readonly switchedOff: () => void;
}

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
  /** The guest's, of which the device knows nothing while the queue is relayed. */
  protected readonly settings: QueueRegisters = new QueueRegisters();
  readonly #memory: RingMemory;
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

  /** The device's head in the ring that it works on. It can be read at any time, and is exact once EN is off. */
  get deviceHead(): number {
    return this.parts.registers.read(this.at + QUEUE.HEAD) & 0xffff;
  }

  /** The tail that the device was told. */
  get deviceTail(): number {
    return this.#deviceTail;
  }

  /** Slots of the private ring. */
  get deviceSlots(): number {
    return RingMemory.count(this.settings.count);
  }

  /** The next slot of the guest's that will be completed. */
  get index(): number {
    return this.#relay?.position.complete ?? this.settings.head;
  }

  /** The queue's format, made anew each time it is switched on. */
  protected abstract codec(): RingCodec;
  /** Why the guest's settings cannot be relayed, beyond its ring. @param read - its registers, from the first */
  protected abstract judge(read: (register: number) => number): string | undefined;
  /** Registers of the device that only one direction has; before the queue is enabled. */
  protected abstract programExtra(): void;
  /** Why the ring's content leaves its guest's place in doubt, where the device works on it. */
  protected abstract judgeContent(ring: GuestRing): string | undefined;
  /** What only one direction has, of a device that works on the guest's own ring, or is to. */
  protected abstract takeExtra(ring: GuestRing | undefined): void;
  protected abstract giveExtra(): void;
  /** Where the device is in the guest's own ring; exact once its queue is off. */
  abstract place(): RingPlace;

  /** Undefined where the queue has no such register. @param register - from the queue's first */
  read(register: number): number | undefined {
    if (register === QUEUE.HEAD) return this.index;
    const value = this.settings.read(register);
    return register === QUEUE.CONTROL && this.enabled ? ((value ?? 0) | QUEUE_ENABLE) >>> 0 : value;
  }

  /** False where the queue has no such register. */
  write(register: number, value: number): boolean {
    if (register === QUEUE.HEAD) {
      // A head that moves under a running queue is no driver's.
      if (!this.enabled) this.settings.head = value & 0xffff;
      return true;
    }
    if (!this.settings.write(register, value)) return false;
    if (register === QUEUE.TAIL) this.#relay?.kick(this.settings.tail);
    else if (register === QUEUE.CONTROL) this.#switch((value & QUEUE_ENABLE) !== 0);
    return true;
  }

  #switch(on: boolean): void {
    if (on && !this.enabled) this.#enable();
    else if (!on && this.enabled) this.#disable();
  }

  #enable(): void {
    const { logger, memory } = this.parts;
    const { base, count, head, tail } = this.settings;
    const problem =
      judgeRing({ base, count }, memory) ?? this.judge((register) => this.read(register) ?? 0);
    if (problem !== undefined || head >= count) {
      const why = problem ?? `its head ${head} is outside the ring`;
      logger.warn(`the guest's ${this.name} queue is refused: ${why}`, { base, count });
      return;
    }
    this.#place({ complete: head, tail: head });
    if (this.parts.live()) {
      this.parts.arm();
      this.go([]);
    }
    this.#relay?.kick(tail);
  }

  #disable(): void {
    if (this.parts.live()) this.silence();
    const relay = this.#relay;
    relay?.complete();
    relay?.pause();
    relay?.markPosted();
    this.settings.head = this.index;
    this.#relay = undefined;
    this.parts.switchedOff();
  }

  /** A relay on a fresh private ring, with the guest at `position`; nothing moves until {@link go}. */
  #place(position: RingPosition): void {
    const { memory, dirty, registers, logger } = this.parts;
    this.#deviceTail = 0;
    const relay = new RingRelay({
      codec: this.codec(),
      memory,
      dirty,
      guest: { base: this.settings.base, count: this.settings.count },
      ring: this.#memory.ring(this.settings.count),
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
    this.#memory.ring(this.settings.count);
    this.#deviceTail = 0;
    write(QUEUE.CONTROL, this.settings.control);
    write(QUEUE.BAL, this.#memory.iova >>> 0);
    write(QUEUE.BAH, Math.floor(this.#memory.iova / HIGH));
    write(QUEUE.LEN, this.deviceSlots * DESCRIPTOR_SIZE);
    write(QUEUE.HEAD, 0);
    write(QUEUE.TAIL, 0);
    this.programExtra();
    write(QUEUE.CONTROL, (this.settings.control | QUEUE_ENABLE) >>> 0);
  }

  /** The guest's own ring, of a device that {@link hold} has taken over. */
  protected ownRing(): GuestRing {
    const { base, count } = this.settings;
    const ring = { base, count, head: this.deviceHead % count, tail: this.deviceTail % count };
    return new GuestRing(this.parts.memory, ring);
  }

  /** Why the device's queue, on the guest's own ring, could not be relayed; undefined where it could, or is off. */
  problem(): QueueProblem | undefined {
    const { registers, memory } = this.parts;
    const device = new QueueRegisters();
    if (!device.takeFrom(registers, this.at)) return undefined;
    const { base, count, head, tail } = device;
    const setting =
      judgeRing({ base, count }, memory) ??
      this.judge((register) => registers.read(this.at + register));
    if (setting !== undefined) return { code: "ERR_VFMIG_VF_FEATURE", why: setting };
    const doubt =
      head >= count || tail >= count
        ? `its head ${head} or tail ${tail} is outside the ring`
        : this.judgeContent(new GuestRing(memory, device));
    return doubt === undefined ? undefined : { code: "ERR_VFMIG_VF_POSITION", why: doubt };
  }

  /**
   * Takes a device over that works on the guest's own ring, as it is: the guest's accesses are ours from here
   * on, its tails wait, and the device goes on. Undefined where the queue is off.
   */
  hold(): RingRelay | undefined {
    const on = this.settings.takeFrom(this.parts.registers, this.at);
    this.takeExtra(on ? new GuestRing(this.parts.memory, this.settings) : undefined);
    if (!on) return undefined;
    const { head, tail } = this.settings;
    this.#place({ complete: head, tail: head });
    this.#deviceTail = tail;
    // From here on the relay knows; a guest that switches a queue on says where it begins.
    this.settings.head = 0;
    return this.#relay;
  }

  /** True while a device that was taken over has not written back what its head has passed. */
  waits(held: RingRelay | undefined): boolean {
    return held !== undefined && this.#relay === held && this.place().waiting;
  }

  /** Goes on over the private ring from where the device is, unless the guest has ended `held` meanwhile. */
  goFrom(held: RingRelay | undefined): void {
    if (held === undefined || this.#relay !== held) return;
    const { slot, half } = this.place();
    held.start({ complete: slot, tail: slot });
    this.go([]);
    if (half) held.discard(1);
    held.kick(this.settings.tail);
  }

  /** Goes on over the private ring from where the guest is, after a hand-over that could not be. */
  goOn(): void {
    this.go([]);
    this.#relay?.kick(this.settings.tail);
  }

  /**
   * Writes what the guest programmed into a device whose queue is off, with its place in its own ring; false
   * where the device does not take that place.
   */
  offer(): boolean {
    const { registers } = this.parts;
    this.settings.head = this.index;
    this.settings.giveTo(registers, this.at);
    this.giveExtra();
    return this.deviceHead === this.settings.head;
  }

  /** After {@link offer}: the device works on the guest's own ring from now on. */
  handOver(): void {
    const { registers } = this.parts;
    const { control, tail } = this.settings;
    if (this.enabled) registers.write(this.at + QUEUE.CONTROL, (control | QUEUE_ENABLE) >>> 0);
    registers.write(this.at + QUEUE.TAIL, tail);
    this.#relay = undefined;
  }

  /** The device's queue off. */
  silence(): void {
    this.parts.registers.write(this.at + QUEUE.CONTROL, this.settings.control);
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
    this.settings.clear();
  }

  protected saveQueue(): QueueState {
    return { ...this.settings.save(), position: this.#relay?.position ?? null };
  }

  protected loadQueue(state: QueueState): void {
    this.reset();
    this.settings.load(state);
  }

  /** After {@link loadQueue} and what the direction itself has loaded. */
  protected placeLoaded(state: QueueState): void {
    if (state.position !== null) this.#place(state.position);
  }

  close(): void {
    this.#relay?.pause();
    this.#memory.close();
  }
}

function report(logger: Logger, queue: string, fault: RelayFault): void {
  logger.warn(`the relay of the ${queue} queue waits: ${fault.kind}`, { queue, ...fault });
}
