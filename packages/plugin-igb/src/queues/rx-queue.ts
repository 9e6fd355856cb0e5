import type { RingCodec } from "@vfmig/shadow-queue";
import { QUEUE, REGISTER } from "../registers/registers.ts";
import { createRxCodec } from "./codecs.ts";
import { bufferBytes, judgeBuffers } from "./judge.ts";
import { type QueueParts, type QueueState, RelayedQueue, type RingPlace } from "./queue.ts";
import { rxPlace } from "./rx-look.ts";

export interface RxQueueState extends QueueState {
  readonly srrctl: number;
}

/** The receive queue. */
export class RxQueue extends RelayedQueue {
  #srrctl = 0;

  constructor(parts: QueueParts) {
    super("receive", REGISTER.RX_QUEUE, parts);
  }

  /** True once all that the device's head has passed is in the ring, and was taken. */
  get caughtUp(): boolean {
    const { relay } = this;
    if (relay === undefined) return true;
    relay.complete();
    const slots = this.deviceSlots;
    return (this.deviceTail - relay.outstanding + slots) % slots === this.deviceHead;
  }

  override read(register: number): number | undefined {
    return register === QUEUE.SRRCTL ? this.#srrctl : super.read(register);
  }

  override write(register: number, value: number): boolean {
    if (register !== QUEUE.SRRCTL) return super.write(register, value);
    this.#srrctl = value;
    return true;
  }

  protected override codec(): RingCodec {
    return createRxCodec(bufferBytes(this.#srrctl));
  }

  protected override judge(read: (register: number) => number): string | undefined {
    return judgeBuffers(read(QUEUE.SRRCTL));
  }

  protected override judgeContent(): undefined {}

  protected override takeExtra(): void {
    this.#srrctl = this.parts.registers.read(this.at + QUEUE.SRRCTL);
  }

  protected override giveExtra(): void {
    this.parts.registers.write(this.at + QUEUE.SRRCTL, this.#srrctl);
  }

  override place(): RingPlace {
    return rxPlace(this.ownRing());
  }

  protected override programExtra(): void {
    this.parts.registers.write(this.at + QUEUE.SRRCTL, this.#srrctl);
  }

  override reset(): void {
    super.reset();
    this.#srrctl = 0;
  }

  save(): RxQueueState {
    return { ...this.saveQueue(), srrctl: this.#srrctl };
  }

  load(state: RxQueueState): void {
    this.loadQueue(state);
    this.#srrctl = state.srrctl;
    this.placeLoaded(state);
  }
}
