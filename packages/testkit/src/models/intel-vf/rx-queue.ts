import { RXDID, RX_DESCRIPTOR_SIZE, VF_REGISTER, rxAddress, type RxQueueConfig } from "@vfmig/iavf";
import type { FrameVerdict } from "../../wire/port.ts";
import type { Dma } from "./dma.ts";
import type { Registers } from "./registers.ts";
import { writeFlex, writeLegacy, type FrameNotes, type RxWriter } from "./rx-write-back.ts";

/** Buffers that the hardware chains for one frame. */
const MAX_CHAIN = 5;

/** Tails count in steps of eight descriptors, whatever the register reads back. */
const TAIL_UNIT = 8;

/** Bytes of a frame's check sequence. */
const FCS_BYTES = 4;

/** Granularity of buffer sizes and ring addresses, in bytes. */
export const CONTEXT_UNIT = 128;

/** The rest of a frame that waits for descriptors. */
interface Partial {
  readonly bytes: Uint8Array;
  readonly notes: FrameNotes;
  done: number;
}

/** One receive queue. Its head is the hardware's own: nothing outside can read or set it. */
export class RxQueue {
  readonly index: number;
  readonly #registers: Registers;
  readonly #dma: Dma;
  #config: RxQueueConfig | undefined;
  #bufferSize = 0;
  #base = 0;
  #head = 0;
  #enabled = false;
  #partial: Partial | undefined;
  #write: RxWriter = writeLegacy;
  /** MSI-X vector of its cause, or -1, and its throttle index. */
  vector = -1;
  itr = 0;
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

  /** Ready to be enabled: a context with a ring and a buffer size. */
  get usable(): boolean {
    return this.#config !== undefined && this.#config.length > 0 && this.#bufferSize > 0;
  }

  /** Frames keep their check sequence. */
  get keepsCrc(): boolean {
    return this.#config !== undefined && this.#config.crcDisable !== 0;
  }

  get waits(): boolean {
    return this.#partial !== undefined;
  }

  /**
   * Writes a new context, whose head is 0, running or not. `rxdid`: the format that the PF chose. Returns
   * true where a frame was cut off.
   */
  configure(config: RxQueueConfig, rxdid: number): boolean {
    this.#config = config;
    this.#write = rxdid === RXDID.FLEX_NIC ? writeFlex : writeLegacy;
    this.#bufferSize = config.bufferSize - (config.bufferSize % CONTEXT_UNIT);
    this.#base = config.base - (config.base % CONTEXT_UNIT);
    this.#head = 0;
    return this.#dropPartial();
  }

  enable(): void {
    this.#head = 0;
    this.#enabled = true;
  }

  /** Stops at once; returns true where a half-received frame was cut off. */
  disable(): boolean {
    this.#enabled = false;
    return this.#dropPartial();
  }

  /** Forgets the context, as a reset does. */
  reset(): boolean {
    this.#config = undefined;
    this.vector = -1;
    this.itr = 0;
    return this.disable();
  }

  /** Takes a frame of `length` bytes: posted buffers are filled in order, the rest waits for more of them. */
  receive(frame: Uint8Array, length: number, notes: FrameNotes): FrameVerdict {
    const config = this.#config;
    if (!this.#enabled || config === undefined) return "queue-disabled";
    const frameLength = this.keepsCrc ? length - FCS_BYTES : length;
    if (frameLength > config.maxPacket || length > MAX_CHAIN * this.#bufferSize) return "too-long";
    if (this.#partial !== undefined || !this.#posted(config)) return "no-descriptor";
    let done = 0;
    while (done < length && this.#posted(config)) {
      const size = Math.min(this.#bufferSize, length - done);
      if (!this.#fill(frame, done, size, done + size === length, notes)) return "dma-fault";
      done += size;
    }
    if (done < length) {
      this.#partial = { bytes: frame.slice(0, length), notes: { ...notes }, done };
    }
    return "accepted";
  }

  /** Goes on with a frame that waited for descriptors; false on a fault. */
  resume(): boolean {
    const partial = this.#partial;
    const config = this.#config;
    if (partial === undefined || config === undefined || !this.#enabled) return true;
    while (partial.done < partial.bytes.length && this.#posted(config)) {
      const size = Math.min(this.#bufferSize, partial.bytes.length - partial.done);
      const last = partial.done + size === partial.bytes.length;
      if (!this.#fill(partial.bytes, partial.done, size, last, partial.notes)) return false;
      partial.done += size;
    }
    if (partial.done === partial.bytes.length) this.#partial = undefined;
    return true;
  }

  /** A descriptor stands between head and tail. A tail beyond the ring never comes. */
  #posted(config: RxQueueConfig): boolean {
    const written = this.#registers.get(VF_REGISTER.QRX_TAIL1 + 4 * this.index);
    const tail = written - (written % TAIL_UNIT);
    return this.#head !== tail && tail < config.length;
  }

  #fill(frame: Uint8Array, from: number, size: number, last: boolean, notes: FrameNotes): boolean {
    const place = this.#base + this.#head * RX_DESCRIPTOR_SIZE;
    const ring = this.#dma.readable(place, RX_DESCRIPTOR_SIZE);
    if (ring === undefined) return this.#fault();
    const at = place - ring.base;
    const address = rxAddress(ring.data, at);
    const whole = from === 0 && size === frame.length;
    const bytes = whole ? frame : frame.subarray(from, from + size);
    if (!this.#dma.write(address, bytes)) return this.#fault();
    if (this.#dma.writable(place, RX_DESCRIPTOR_SIZE) === undefined) return this.#fault();
    this.#write(ring.data, at, size, last, notes);
    this.#head = (this.#head + 1) % this.#config!.length;
    this.wrote = true;
    return true;
  }

  /** A fault stops the queue: the hardware cannot know what memory holds. */
  #fault(): false {
    this.#enabled = false;
    this.#partial = undefined;
    return false;
  }

  #dropPartial(): boolean {
    const had = this.#partial !== undefined;
    this.#partial = undefined;
    return had;
  }
}
