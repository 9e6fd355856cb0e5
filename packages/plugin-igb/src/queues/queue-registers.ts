import type { RegisterAccess } from "@vfmig/core/toolkit";
import { QUEUE, QUEUE_ENABLE } from "../registers/registers.ts";
import { DESCRIPTOR_SIZE } from "./codecs.ts";

/** A queue as the guest programmed it, without its place in the ring. */
export interface QueueSettingsState {
  readonly baseLow: number;
  readonly baseHigh: number;
  /** Descriptors. */
  readonly count: number;
  /** RXDCTL or TXDCTL without the enable bit. */
  readonly control: number;
  /** DCA control, which is kept for the guest and never given to a device that is relayed. */
  readonly dca: number;
  readonly head: number;
  readonly tail: number;
}

/** QEMU and the manual both ignore the lowest bits of a base. */
const BASE_LOW_MASK = 0xffff_ffe0;
const LENGTH_MASK = 0xf_fff0;
const CONTROL_MASK = 0x001f_1f1f;
const HIGH = 0x1_0000_0000;

/** Registers that a queue of either direction has, as its guest wrote them. */
export class QueueRegisters {
  head = 0;
  #low = 0;
  #high = 0;
  #length = 0;
  #control = 0;
  #dca = 0;
  #tail = 0;

  /** IOVA of descriptor 0. */
  get base(): number {
    return this.#low + this.#high * HIGH;
  }

  /** Descriptors. */
  get count(): number {
    return this.#length / DESCRIPTOR_SIZE;
  }

  /** RXDCTL or TXDCTL without the enable bit. */
  get control(): number {
    return this.#control;
  }

  get tail(): number {
    return this.#tail;
  }

  /** Undefined where `register` is none of these; CONTROL without its enable bit. */
  read(register: number): number | undefined {
    switch (register) {
      case QUEUE.BAL:
        return this.#low;
      case QUEUE.BAH:
        return this.#high;
      case QUEUE.LEN:
        return this.#length;
      case QUEUE.HEAD:
        return this.head;
      case QUEUE.DCA:
        return this.#dca;
      case QUEUE.TAIL:
        return this.#tail;
      case QUEUE.CONTROL:
        return this.#control;
      default:
        return undefined;
    }
  }

  /** False where `register` is none of these. HEAD is its owner's, who knows whether the queue is off. */
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
      case QUEUE.DCA:
        this.#dca = value;
        return true;
      case QUEUE.TAIL:
        this.#tail = value & 0xffff;
        return true;
      case QUEUE.CONTROL:
        this.#control = value & CONTROL_MASK;
        return true;
      default:
        return false;
    }
  }

  clear(): void {
    for (const register of KEPT) this.write(register, 0);
    this.head = 0;
  }

  /**
   * Takes what the guest programmed into a device that is its own; true where the queue is on.
   * @param at - offset of the queue's first register
   */
  takeFrom(device: RegisterAccess, at: number): boolean {
    for (const register of KEPT) this.write(register, device.read(at + register));
    this.head = device.read(at + QUEUE.HEAD) & 0xffff;
    // A PF's reset leaves the first VF's queue on, with a ring of no length.
    return (device.read(at + QUEUE.CONTROL) & QUEUE_ENABLE) !== 0 && this.#length > 0;
  }

  /** Gives a device whose queue is off all but the tail, which hardware ignores until the queue is on. */
  giveTo(device: RegisterAccess, at: number): void {
    for (const register of KEPT) {
      if (register !== QUEUE.TAIL) device.write(at + register, this.read(register) ?? 0);
    }
    device.write(at + QUEUE.HEAD, this.head);
  }

  save(): QueueSettingsState {
    return {
      baseLow: this.#low,
      baseHigh: this.#high,
      count: this.count,
      control: this.#control,
      dca: this.#dca,
      head: this.head,
      tail: this.#tail,
    };
  }

  load(state: QueueSettingsState): void {
    this.#low = (state.baseLow & BASE_LOW_MASK) >>> 0;
    this.#high = state.baseHigh;
    this.#length = state.count * DESCRIPTOR_SIZE;
    this.#control = state.control;
    this.#dca = state.dca;
    this.head = state.head;
    this.#tail = state.tail;
  }
}

/** In the order in which a device is given them: CONTROL first, which switches the queue off. */
const KEPT: readonly number[] = [
  QUEUE.CONTROL,
  QUEUE.BAL,
  QUEUE.BAH,
  QUEUE.LEN,
  QUEUE.DCA,
  QUEUE.TAIL,
];
