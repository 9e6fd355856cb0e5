import { GuestFault } from "./fault.ts";
import type { GuestRam } from "./guest-ram.ts";
import type { PciSlot } from "./pci-slot.ts";
import type { TxFormat } from "./ring-formats.ts";

/** Memory of one slot's buffer, in bytes. */
const SLOT_BUFFER = 2048;
/** Descriptors of one wire packet at most. */
const MAX_DESCRIPTORS = 8;
/** iavf stops a queue with fewer free descriptors than a packet needs and these. */
const HEADROOM = 5;
/** Packets cleaned in one poll at most (IAVF_DEFAULT_IRQ_WORK). */
const CLEAN_BUDGET = 256;
/** The stack's watchdog for a queue that sends nothing, in milliseconds. */
const HANG_MS = 5000;

export interface TxRingOptions {
  readonly slot: PciSlot;
  readonly ram: GuestRam;
  readonly queue: number;
  /** Descriptors. */
  readonly size: number;
  /** Bytes of one descriptor at most. */
  readonly segment: number;
  readonly format: TxFormat;
  /** Tells the device the tail; default at once, frame by frame. */
  readonly doorbell?: (tail: number) => void;
}

/** One Tx ring, as iavf runs it: EOP, RS and ICRC on each packet's last descriptor. */
export class TxRing {
  readonly queue: number;
  readonly iova: number;
  readonly #ram: GuestRam;
  readonly #size: number;
  readonly #segment: number;
  readonly #buffers: number;
  /** Last descriptor of the packet that begins in a slot. */
  readonly #last: Int32Array;
  readonly #format: TxFormat;
  readonly #doorbell: (tail: number) => void;
  #use = 0;
  #clean = 0;
  #progressMs = 0;
  #lastSeenClean = -1;
  packets = 0;
  bytes = 0;
  completed = 0;
  dropped = 0;

  constructor({ slot, ram, queue, size, segment, format, doorbell }: TxRingOptions) {
    this.queue = queue;
    this.#format = format;
    this.#doorbell = doorbell ?? ((tail) => slot.write32(format.tail(queue), tail));
    this.#ram = ram;
    this.#size = size;
    this.#segment = Math.min(segment, SLOT_BUFFER);
    this.iova = ram.allocate(size * format.size);
    this.#buffers = ram.allocate(size * SLOT_BUFFER);
    this.#last = new Int32Array(size);
  }

  get nextToUse(): number {
    return this.#use;
  }

  get nextToClean(): number {
    return this.#clean;
  }

  get pending(): boolean {
    return this.#use !== this.#clean;
  }

  /** Begins anew at slot 0; frames that wait are gone. */
  reset(): void {
    this.dropped += this.packets - this.completed - this.dropped;
    this.#use = 0;
    this.#clean = 0;
    this.#ram.zero(this.iova, this.#size * this.#format.size);
  }

  /**
   * Puts a frame into the ring and rings the doorbell; false where the ring has no room.
   *
   * @param tag - what the device inserts, or -1
   */
  send(frame: Uint8Array, nowMs: number, tag = -1): boolean {
    const count = Math.ceil(frame.length / this.#segment);
    if (count === 0 || count > MAX_DESCRIPTORS) {
      throw new RangeError(
        `a frame of ${frame.length} bytes needs ${count} descriptors, 1 to 8 go`,
      );
    }
    if (this.#unused() < count + HEADROOM) return false;
    if (!this.pending) this.#progressMs = nowMs;
    const first = this.#use;
    let index = first;
    for (let at = 0; at < frame.length; at += this.#segment) {
      const part = frame.subarray(at, at + this.#segment);
      const buffer = this.#buffers + index * SLOT_BUFFER;
      this.#ram.write(buffer, part);
      const last = at + part.length === frame.length;
      const iova = this.iova + index * this.#format.size;
      const words = { address: buffer, length: part.length, packet: frame.length, last, tag };
      this.#format.write(this.#ram.data, iova - this.#ram.base, words);
      this.#ram.touch(iova, this.#format.size);
      this.#last[first] = index;
      index = (index + 1) % this.#size;
    }
    this.#use = index;
    this.packets++;
    this.bytes += frame.length;
    this.#doorbell(index);
    return true;
  }

  /** Takes back what the device has sent; true where nothing finished is left. @throws GuestFault */
  clean(nowMs: number): boolean {
    for (let budget = CLEAN_BUDGET; budget > 0; budget--) {
      if (!this.pending) return true;
      const last = this.#last[this.#clean] ?? 0;
      const state = this.#state(last);
      if (state === "posted") {
        this.#checkOrder(last);
        return true;
      }
      if (state !== "done") throw this.#fault(last, "came back as no descriptor of this kind");
      this.#checkUntouched(last);
      this.#clean = (last + 1) % this.#size;
      this.completed++;
      this.#progressMs = nowMs;
    }
    return false;
  }

  /**
   * The periodic look: true where nothing moved since the last one, so that the device should be
   * asked to write back.
   * @throws GuestFault after 5 s without progress
   */
  checkHang(nowMs: number): boolean {
    if (this.pending && nowMs - this.#progressMs > HANG_MS) {
      throw new GuestFault("tx-hang", `Tx queue ${this.queue} has sent nothing for 5 s`, {
        queue: this.queue,
        nextToUse: this.#use,
        nextToClean: this.#clean,
      });
    }
    const stuck = this.pending && this.#lastSeenClean === this.#clean;
    this.#lastSeenClean = this.#clean;
    return stuck;
  }

  #unused(): number {
    return (this.#clean > this.#use ? 0 : this.#size) + this.#clean - this.#use - 1;
  }

  #state(index: number): ReturnType<TxFormat["state"]> {
    return this.#format.state(this.#ram, this.iova + index * this.#format.size);
  }

  /** Only descriptors with RS are written back. */
  #checkUntouched(last: number): void {
    for (let index = this.#clean; index !== last; index = (index + 1) % this.#size) {
      if (this.#state(index) !== "posted") {
        throw this.#fault(index, "was written back though it asked for none");
      }
    }
  }

  /** Write-backs keep the ring's order: a later packet is never done before this one. */
  #checkOrder(last: number): void {
    const next = (last + 1) % this.#size;
    if (next === this.#use) return;
    const nextLast = this.#last[next] ?? 0;
    // The device may finish both between the two looks, so the first is looked at again.
    if (this.#state(nextLast) !== "posted" && this.#state(last) === "posted") {
      throw this.#fault(nextLast, `is done before slot ${last}`);
    }
  }

  #fault(index: number, what: string): GuestFault {
    return new GuestFault("tx-completion", `slot ${index} of Tx queue ${this.queue} ${what}`, {
      queue: this.queue,
      index,
      nextToUse: this.#use,
      nextToClean: this.#clean,
    });
  }
}
