import type { Clock } from "@vfmig/core";
import { DYN_CTL, vectorControl, vectorItr } from "@vfmig/iavf";
import type { PciSlot } from "../guest/pci-slot.ts";
import { type FrameHandler, POLL_BUDGET, type RxRing } from "../guest/rx-ring.ts";
import { SoonWork } from "../guest/soon-work.ts";
import type { TxRing } from "../guest/tx-ring.ts";

/** Throttle intervals in units of 2 us: 50 us at first and when little comes, 122 us under load. */
const ITR_DEFAULT = 25;
const ITR_BULK = 61;
/** Frames in one poll from which on traffic counts as bulk. */
const BULK_FRAMES = 16;
const ITR_RX = 0;
const ITR_TX = 1;
/** Asks the device to write back and to raise the vector (iavf_force_wb). */
const FORCE_WRITE_BACK = 0x0100_001d;

export interface QueueVectorOptions {
  readonly slot: PciSlot;
  readonly clock: Clock;
  /** MSI-X vector, 1 and up. */
  readonly vector: number;
  readonly onFrame: FrameHandler;
}

/** A vector with its rings, polled as NAPI does: masked by the interrupt, re-armed when all is done. */
export class QueueVector {
  readonly vector: number;
  readonly tx: TxRing[] = [];
  readonly rx: RxRing[] = [];
  readonly #options: QueueVectorOptions;
  readonly #poll: SoonWork;
  #enabled = false;
  #interval = ITR_DEFAULT;

  constructor(options: QueueVectorOptions) {
    this.#options = options;
    this.#poll = new SoonWork(options.clock, () => this.#run());
    this.vector = options.vector;
  }

  /** The initial throttle intervals, written when rings are mapped to the vector. */
  writeIntervals(): void {
    this.#interval = ITR_DEFAULT;
    for (const itr of [ITR_RX, ITR_TX]) {
      this.#options.slot.write32(vectorItr(this.vector, itr), ITR_DEFAULT);
    }
  }

  /** napi_enable; from now on the device may interrupt. */
  enable(): void {
    this.#enabled = true;
    this.#options.slot.write32(vectorControl(this.vector), DYN_CTL.REARM);
  }

  disable(): void {
    this.#enabled = false;
    this.#poll.cancel();
  }

  /** The interrupt handler: schedules a poll, unless one is scheduled. */
  interrupt(): void {
    if (this.#enabled) this.#poll.schedule();
  }

  /** The periodic look after rings that stand still. @throws GuestFault */
  checkStall(): void {
    const now = this.#options.clock.now();
    for (const ring of this.rx) ring.checkStall();
    const stuck = this.tx.map((ring) => ring.checkHang(now)).includes(true);
    if (stuck) this.#options.slot.write32(vectorControl(this.vector), FORCE_WRITE_BACK);
  }

  #run(): void {
    const { clock, onFrame, slot } = this.#options;
    let complete = true;
    for (const ring of this.tx) complete = ring.clean(clock.now()) && complete;
    const share = Math.max(1, Math.floor(POLL_BUDGET / Math.max(1, this.rx.length)));
    let frames = 0;
    for (const ring of this.rx) {
      const got = ring.poll(share, onFrame);
      frames += got;
      complete = complete && got < share;
    }
    // What a frame led to may have taken the interface down.
    if (!this.#enabled) return;
    if (complete) slot.write32(vectorControl(this.vector), this.#rearm(frames));
    else this.interrupt();
  }

  /** Re-arms, and tells the device the Rx interval where it changes. */
  #rearm(frames: number): number {
    const interval = frames >= BULK_FRAMES ? ITR_BULK : ITR_DEFAULT;
    if (interval === this.#interval) return DYN_CTL.REARM;
    this.#interval = interval;
    return (
      DYN_CTL.INTENA | (ITR_RX << DYN_CTL.ITR_INDX_SHIFT) | (interval << DYN_CTL.INTERVAL_SHIFT)
    );
  }
}
