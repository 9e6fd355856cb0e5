import { GuestFault, type GuestFaultKind } from "./fault.ts";
import type { GuestRam } from "./guest-ram.ts";
import type { PciSlot } from "./pci-slot.ts";
import { RX_DONE, RX_END, type RxFormat } from "./ring-formats.ts";
import { TAG_BYTES, withTag } from "./vlan-tags.ts";

/** Frames of one poll at most (NAPI_POLL_WEIGHT). */
export const POLL_BUDGET = 64;
/** Descriptors that are cleaned before any is posted again (IAVF_RX_BUFFER_WRITE). */
const REFILL = 16;
/** Buffers that one frame may fill. */
const MAX_CHAIN = 5;

/** Takes a received frame; it is valid during the call only. */
export type FrameHandler = (frame: Uint8Array, queue: number) => void;

export interface RxRingOptions {
  readonly slot: PciSlot;
  readonly ram: GuestRam;
  readonly queue: number;
  /** Descriptors. */
  readonly size: number;
  /** Bytes of a buffer that the device may fill. */
  readonly bufferSize: number;
  readonly format: RxFormat;
}

/** One Rx ring, as iavf runs it: the tail stays one behind what was cleaned. */
export class RxRing {
  readonly queue: number;
  readonly iova: number;
  readonly #slot: PciSlot;
  readonly #ram: GuestRam;
  readonly #size: number;
  readonly #bufferSize: number;
  readonly #stride: number;
  readonly #buffers: number;
  readonly #gathered: Uint8Array;
  readonly #tagged: Uint8Array;
  readonly #format: RxFormat;
  #gatheredLength = 0;
  #chain = 0;
  #use = 0;
  #clean = 0;
  #stalledAt = -1;
  packets = 0;
  bytes = 0;
  errors = 0;

  constructor({ slot, ram, queue, size, bufferSize, format }: RxRingOptions) {
    this.queue = queue;
    this.#format = format;
    this.#slot = slot;
    this.#ram = ram;
    this.#size = size;
    this.#bufferSize = bufferSize;
    this.#stride = bufferSize <= 2048 ? 2048 : 4096;
    this.iova = ram.allocate(size * format.size);
    this.#buffers = ram.allocate(size * this.#stride);
    this.#gathered = new Uint8Array(MAX_CHAIN * bufferSize);
    this.#tagged = new Uint8Array(MAX_CHAIN * bufferSize + TAG_BYTES);
  }

  get nextToUse(): number {
    return this.#use;
  }

  get nextToClean(): number {
    return this.#clean;
  }

  /** Begins anew: all slots but one posted from slot 0, and the tail says so. */
  reset(): void {
    this.#use = 0;
    this.#clean = 0;
    this.#chain = 0;
    this.#gatheredLength = 0;
    this.#ram.zero(this.iova, this.#size * this.#format.size);
    this.#refill();
  }

  /** Hands out at most `budget` frames; gives their number. @throws GuestFault */
  poll(budget: number, onFrame: FrameHandler): number {
    let frames = 0;
    while (frames < budget) {
      if (this.#unused() >= REFILL) this.#refill();
      const index = this.#clean;
      const iova = this.iova + index * this.#format.size;
      const low = this.#ram.load32(iova + 8);
      if ((low & RX_DONE) === 0) break;
      const length = this.#format.length(this.#ram.load32(iova + (this.#format.lengthAt ?? 12)));
      if (length === 0 || length > this.#bufferSize) {
        throw this.#fault("rx-descriptor", `holds ${length} bytes`, low);
      }
      if (this.#take(index, length, low, onFrame)) frames++;
      this.#clean = (index + 1) % this.#size;
    }
    this.#checkGap();
    return frames;
  }

  /**
   * The periodic look, for what a driver would never see: frames behind a slot that stays empty, and
   * frames for which no interrupt came since the last look.
   * @throws GuestFault
   */
  checkStall(): void {
    const stalled = this.#done(this.#clean);
    if (stalled && this.#stalledAt === this.packets) {
      throw this.#fault("rx-stall", "has been done for two seconds and no interrupt came");
    }
    this.#stalledAt = stalled ? this.packets : -1;
    for (let i = (this.#clean + 1) % this.#size; i !== this.#use; i = (i + 1) % this.#size) {
      // The device may fill both between the two looks, so the first is looked at again.
      if (this.#done(i) && !this.#done(this.#clean)) {
        throw this.#fault("rx-order", `is empty though slot ${i} is done`);
      }
    }
  }

  /** The slot at the tail is not the device's, and its status was cleared. */
  #checkGap(): void {
    if (this.#done(this.#use)) {
      throw this.#fault(
        "rx-unposted",
        `waits while slot ${this.#use} is done, which never was posted`,
      );
    }
  }

  #done(index: number): boolean {
    return (this.#ram.load32(this.iova + index * this.#format.size + 8) & RX_DONE) !== 0;
  }

  /** True where the buffer ended a frame. */
  #take(index: number, length: number, low: number, onFrame: FrameHandler): boolean {
    const buffer = this.#ram.view(this.#buffers + index * this.#stride, length);
    this.#chain++;
    const end = (low & RX_END) !== 0;
    if (!end && this.#chain >= MAX_CHAIN) {
      throw this.#fault("rx-descriptor", `continues a frame of ${MAX_CHAIN} buffers`, low);
    }
    if (!end || this.#chain > 1) {
      this.#gathered.set(buffer, this.#gatheredLength);
      this.#gatheredLength += length;
    }
    if (!end) return false;
    const bytes = this.#chain === 1 ? buffer : this.#gathered.subarray(0, this.#gatheredLength);
    const offset = this.iova + index * this.#format.size - this.#ram.base;
    const tag = this.#format.tag(this.#ram.data, offset, low);
    const frame = tag < 0 ? bytes : withTag(bytes, tag, this.#tagged);
    this.#chain = 0;
    this.#gatheredLength = 0;
    if ((low & this.#format.errors) !== 0) {
      this.errors++;
      return true;
    }
    this.packets++;
    this.bytes += frame.length;
    onFrame(frame, this.queue);
    return true;
  }

  #unused(): number {
    return (this.#clean > this.#use ? 0 : this.#size) + this.#clean - this.#use - 1;
  }

  /** Posts every free slot but one: the address, then a cleared status in the slot behind it. */
  #refill(): void {
    for (let count = this.#unused(); count > 0; count--) {
      const iova = this.iova + this.#use * this.#format.size;
      const address = this.#buffers + this.#use * this.#stride;
      this.#ram.store32(iova + 4, Math.floor(address / 0x1_0000_0000));
      this.#ram.store32(iova, address >>> 0);
      this.#use = (this.#use + 1) % this.#size;
      const next = this.iova + this.#use * this.#format.size;
      this.#ram.store32(next + 12, 0);
      this.#ram.store32(next + 8, 0);
    }
    this.#slot.write32(this.#format.tail(this.queue), this.#use);
  }

  #fault(kind: GuestFaultKind, what: string, status?: number): GuestFault {
    const where = `slot ${this.#clean} of Rx queue ${this.queue}`;
    return new GuestFault(kind, `${where} ${what}`, {
      queue: this.queue,
      status,
      nextToUse: this.#use,
      nextToClean: this.#clean,
    });
  }
}
