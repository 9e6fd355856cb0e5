import type { Clock } from "@vfmig/core";
import type { GuestRam } from "../guest/guest-ram.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import { type FrameHandler, POLL_BUDGET, RxRing } from "../guest/rx-ring.ts";
import { SoonWork } from "../guest/soon-work.ts";
import { TxRing } from "../guest/tx-ring.ts";
import { igbRxFormat, igbTxFormat } from "./formats.ts";
import {
  ALL_VECTORS,
  IGB,
  IVAR0_WORD,
  IVAR_MISC_WORD,
  QUEUE_ENABLE,
  RX_BUFFER,
  RX_THRESHOLDS,
  SRRCTL_ONE_BUFFER,
  TX_THRESHOLDS,
  TXCTL_RELAXED_WRITE_BACK,
  VECTOR,
} from "./registers.ts";

const DESCRIPTOR_SIZE = 16;
const HIGH = 0x1_0000_0000;

export interface IgbQueuePairOptions {
  readonly slot: PciSlot;
  readonly ram: GuestRam;
  readonly clock: Clock;
  readonly onFrame: FrameHandler;
  /** Descriptors of each ring. */
  readonly ringSize: number;
  readonly txSegment: number;
  /** Throttle interval of the queues' vectors, as EITR has it. */
  readonly interval: number;
}

/** The one queue pair that igbvf uses, and its two vectors. */
export class IgbQueuePair {
  readonly tx: TxRing;
  readonly rx: RxRing;
  readonly #options: IgbQueuePairOptions;
  readonly #clean: SoonWork;
  readonly #poll: SoonWork;
  /** One doorbell for all that is sent in one turn, as a stack with more to send has it (`xmit_more`). */
  readonly #doorbell: SoonWork;
  #tail = 0;
  #enabled = false;

  constructor(options: IgbQueuePairOptions) {
    const { slot, ram, clock, ringSize, txSegment } = options;
    this.#options = options;
    this.#clean = new SoonWork(clock, () => this.transmitted());
    this.#poll = new SoonWork(clock, () => this.#run());
    this.#doorbell = new SoonWork(clock, () => slot.write32(IGB.TDT, this.#tail));
    const place = { slot, ram, queue: 0, size: ringSize };
    const doorbell = (tail: number): void => this.#ring(tail);
    this.tx = new TxRing({ ...place, segment: txSegment, format: igbTxFormat, doorbell });
    this.rx = new RxRing({ ...place, bufferSize: RX_BUFFER, format: igbRxFormat });
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** igbvf_configure_tx, once the queue has been off for a while. */
  configureTx(): void {
    const { slot, ringSize } = this.#options;
    slot.write32(IGB.TDLEN, ringSize * DESCRIPTOR_SIZE);
    slot.write32(IGB.TDBAL, this.tx.iova >>> 0);
    slot.write32(IGB.TDBAH, Math.floor(this.tx.iova / HIGH));
    slot.write32(IGB.TDH, 0);
    slot.write32(IGB.TDT, 0);
    slot.write32(IGB.TXCTL, (slot.read32(IGB.TXCTL) & ~TXCTL_RELAXED_WRITE_BACK) >>> 0);
    this.tx.reset();
    slot.write32(IGB.TXDCTL, QUEUE_ENABLE | TX_THRESHOLDS);
  }

  /** igbvf_configure_rx, once the queue has been off for a while; its ring is filled by {@link fill}. */
  configureRx(): void {
    const { slot, ringSize } = this.#options;
    slot.write32(IGB.SRRCTL, SRRCTL_ONE_BUFFER);
    slot.write32(IGB.RDBAL, this.rx.iova >>> 0);
    slot.write32(IGB.RDBAH, Math.floor(this.rx.iova / HIGH));
    slot.write32(IGB.RDLEN, ringSize * DESCRIPTOR_SIZE);
    slot.write32(IGB.RDH, 0);
    slot.write32(IGB.RDT, 0);
  }

  /** Switches receiving on and posts every buffer. */
  fill(): void {
    this.#options.slot.write32(IGB.RXDCTL, QUEUE_ENABLE | RX_THRESHOLDS);
    this.rx.reset();
  }

  /** Both queues off; they need a while to come to rest. */
  off(): void {
    const { slot } = this.#options;
    slot.write32(IGB.RXDCTL, RX_THRESHOLDS);
    slot.write32(IGB.TXDCTL, TX_THRESHOLDS);
  }

  /** igbvf_configure_msix and igbvf_irq_enable. */
  enable(): void {
    const { slot, interval } = this.#options;
    slot.write32(IGB.IVAR0, IVAR0_WORD);
    slot.write32(IGB.EITR0 + 4 * VECTOR.tx, interval);
    slot.write32(IGB.EITR0 + 4 * VECTOR.rx, interval);
    slot.write32(IGB.IVAR_MISC, IVAR_MISC_WORD);
    slot.read32(IGB.EICR);
    slot.write32(IGB.EIAC, ALL_VECTORS);
    slot.write32(IGB.EIAM, ALL_VECTORS);
    this.#enabled = true;
    slot.write32(IGB.EIMS, ALL_VECTORS);
  }

  disable(): void {
    this.#enabled = false;
    for (const work of [this.#clean, this.#poll, this.#doorbell]) work.cancel();
  }

  /** The transmit vector's handler: igbvf cleans in it. */
  transmitted(): void {
    if (!this.#enabled) return;
    const { clock, slot } = this.#options;
    const complete = this.tx.clean(clock.now());
    if (!complete) this.#clean.schedule();
    else slot.write32(IGB.EIMS, 1 << VECTOR.tx);
  }

  /** The receive vector's handler: schedules a poll, unless one is scheduled. */
  received(): void {
    if (this.#enabled) this.#poll.schedule();
  }

  /** The periodic look after rings that stand still. @throws GuestFault */
  checkStall(): void {
    if (!this.#enabled) return;
    this.rx.checkStall();
    this.tx.checkHang(this.#options.clock.now());
  }

  #ring(tail: number): void {
    this.#tail = tail;
    this.#doorbell.schedule();
  }

  #run(): void {
    const { slot, onFrame } = this.#options;
    const frames = this.rx.poll(POLL_BUDGET, onFrame);
    // What a frame led to may have taken the interface down.
    if (!this.#enabled) return;
    if (frames < POLL_BUDGET) slot.write32(IGB.EIMS, 1 << VECTOR.rx);
    else this.received();
  }
}
