import type { RingCodec, RingRelay } from "@vfmig/shadow-queue";
import { QUEUE, REGISTER, TXCTL_RELAXED_WRITE_BACK } from "../registers/registers.ts";
import { createTxCodec, type TxCodec, type TxContext } from "./codecs.ts";
import type { GuestRing } from "./guest-ring.ts";
import { type QueueParts, type QueueState, RelayedQueue, type RingPlace } from "./queue.ts";
import { endsInPacket, lookForContexts, txPlace } from "./tx-look.ts";

export interface TxQueueState extends QueueState {
  /** Address of the head write-back and its enable bit, which keeps the queue off. */
  readonly writeBackLow: number;
  readonly writeBackHigh: number;
  /** Offload contexts that the device remembered; null for none. */
  readonly contexts: readonly (readonly number[] | null)[];
}

/** Bit 0 of the address: the device writes its head there, and no descriptor back. */
const WRITE_BACK_ENABLE = 0x1;

/** The transmit queue. */
export class TxQueue extends RelayedQueue {
  #writeBackLow = 0;
  #writeBackHigh = 0;
  #codec: TxCodec = createTxCodec();
  /** Contexts that were sent again and leave the ring with the guest's next frame. */
  #repeated = 0;
  #completedBefore = 0;

  constructor(parts: QueueParts) {
    super("transmit", REGISTER.TX_QUEUE, parts);
  }

  /** True once the device has taken all that it was given, and reported it. */
  get drained(): boolean {
    const { relay } = this;
    if (relay === undefined) return true;
    relay.complete();
    // Contexts that were sent again leave no report; the head says that they were taken.
    const silent = relay.counters.completed === this.#completedBefore ? this.#repeated : 0;
    return relay.outstanding <= silent && this.deviceHead === this.deviceTail;
  }

  override read(register: number): number | undefined {
    if (register === QUEUE.WRITE_BACK_LOW) return this.#writeBackLow;
    if (register === QUEUE.WRITE_BACK_HIGH) return this.#writeBackHigh;
    return super.read(register);
  }

  override write(register: number, value: number): boolean {
    if (register === QUEUE.WRITE_BACK_LOW) this.#writeBackLow = value;
    else if (register === QUEUE.WRITE_BACK_HIGH) this.#writeBackHigh = value;
    else return super.write(register, value);
    return true;
  }

  protected override codec(): RingCodec {
    return this.#codec;
  }

  protected override judge(read: (register: number) => number): string | undefined {
    return (read(QUEUE.WRITE_BACK_LOW) & WRITE_BACK_ENABLE) === 0
      ? undefined
      : "it asks for head write-back (TDWBAL), which no descriptor relay can give";
  }

  protected override judgeContent(ring: GuestRing): string | undefined {
    return endsInPacket(ring)
      ? `its tail ${ring.tail} stands in the middle of a packet`
      : lookForContexts(ring).doubt;
  }

  protected override takeExtra(ring: GuestRing | undefined): void {
    const { registers } = this.parts;
    this.#writeBackLow = registers.read(this.at + QUEUE.WRITE_BACK_LOW);
    this.#writeBackHigh = registers.read(this.at + QUEUE.WRITE_BACK_HIGH);
    this.#codec = createTxCodec();
    if (ring !== undefined) this.#codec.load(lookForContexts(ring).contexts);
  }

  protected override giveExtra(): void {
    const { registers } = this.parts;
    registers.write(this.at + QUEUE.WRITE_BACK_LOW, this.#writeBackLow);
    registers.write(this.at + QUEUE.WRITE_BACK_HIGH, this.#writeBackHigh);
  }

  override place(): RingPlace {
    return txPlace(this.ownRing());
  }

  protected override programExtra(): void {
    const { registers } = this.parts;
    registers.write(this.at + QUEUE.WRITE_BACK_LOW, 0);
    registers.write(this.at + QUEUE.WRITE_BACK_HIGH, 0);
    const dca = registers.read(this.at + QUEUE.DCA);
    registers.write(this.at + QUEUE.DCA, (dca & ~TXCTL_RELAXED_WRITE_BACK) >>> 0);
  }

  protected override beforeGuest(
    relay: RingRelay,
    frames: readonly { readonly iova: number; readonly length: number }[],
  ): void {
    for (const { iova, length } of frames) relay.inject(iova, length);
    this.#repeated = 0;
    this.#completedBefore = relay.counters.completed;
    for (const [index, context] of this.#codec.contexts().entries()) {
      if (context !== undefined && relay.inject(index, 0)) this.#repeated++;
    }
  }

  override reset(): void {
    super.reset();
    this.#writeBackLow = 0;
    this.#writeBackHigh = 0;
    this.#codec = createTxCodec();
  }

  save(): TxQueueState {
    const contexts = this.#codec.contexts().map((context) => (context ? [...context] : null));
    return {
      ...this.saveQueue(),
      writeBackLow: this.#writeBackLow,
      writeBackHigh: this.#writeBackHigh,
      contexts,
    };
  }

  load(state: TxQueueState): void {
    this.loadQueue(state);
    this.#writeBackLow = state.writeBackLow;
    this.#writeBackHigh = state.writeBackHigh;
    this.#codec.load(state.contexts.map(contextOf));
    this.placeLoaded(state);
  }
}

function contextOf(dwords: readonly number[] | null): TxContext {
  if (dwords === null) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = dwords;
  return [a, b, c, d];
}
