import { RXDID, RX_DESCRIPTOR_SIZE, VF_REGISTER, rxAddress, type RxQueueConfig } from "@vfmig/iavf";
import type { FrameVerdict } from "../../wire/port.ts";
import { inOrder, type Dma, type DmaOutcome } from "./dma.ts";
import type { Registers } from "./registers.ts";
import { RingCopy } from "./ring-copy.ts";
import { writeFlex, writeLegacy, type FrameNotes, type RxWriter } from "./rx-write-back.ts";

/** Buffers that the hardware chains for one frame. */
const MAX_CHAIN = 5;

/** Tails count in steps of eight descriptors, whatever the register reads back. */
const TAIL_UNIT = 8;

/** Bytes of a frame's check sequence. */
const FCS_BYTES = 4;

/** Granularity of buffer sizes and ring addresses, in bytes. */
export const CONTEXT_UNIT = 128;

/** Parts of a ring: with fewer posted descriptors the link partner is asked to hold, with more to go on. */
const XOFF_BELOW = 1 / 4;
const XON_FROM = 1 / 2;

/** Frames that the port keeps while messages bring others to memory. */
const WAITING_MAX = 128;

/** The rest of a frame that waits for descriptors, or for messages to bring it to memory. */
interface Waiting {
  readonly bytes: Uint8Array;
  readonly notes: FrameNotes;
  done: number;
}

/** One receive queue. Its head is the hardware's own: nothing outside can read or set it. */
export class RxQueue {
  readonly index: number;
  readonly #registers: Registers;
  readonly #dma: Dma;
  readonly #changed: () => void;
  #config: RxQueueConfig | undefined;
  #bufferSize = 0;
  #base = 0;
  #head = 0;
  #enabled = false;
  #waiting: Waiting[] = [];
  /** Where the ring, or a part of it, came without a file. */
  #copy: RingCopy | undefined;
  #life = 0;
  #write: RxWriter = writeLegacy;
  /** MSI-X vector of its cause, or -1, and its throttle index. */
  vector = -1;
  itr = 0;
  /** Descriptors were written back since this was last cleared. */
  wrote = false;
  /** Messages are on their way for this queue. */
  talks = false;

  /** @param changed - the queue began anew, or stopped */
  constructor(index: number, registers: Registers, dma: Dma, changed: () => void) {
    this.index = index;
    this.#registers = registers;
    this.#dma = dma;
    this.#changed = changed;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Address of the ring in the queue's context, as the PF wrote it. */
  get base(): number {
    return this.#base;
  }

  /** Ready to be enabled: a context with a ring and a buffer size. */
  get usable(): boolean {
    return this.#config !== undefined && this.#config.length > 0 && this.#bufferSize > 0;
  }

  /** Frames keep their check sequence. */
  get keepsCrc(): boolean {
    return this.#config !== undefined && this.#config.crcDisable !== 0;
  }

  /** Descriptors are running out. */
  get low(): boolean {
    return this.#hasFewer(XOFF_BELOW);
  }

  /** They were, and there are not enough again. */
  get stillLow(): boolean {
    return this.#hasFewer(XON_FROM);
  }

  #hasFewer(part: number): boolean {
    if (!this.#enabled || this.#config === undefined) return false;
    const { length } = this.#config;
    return (this.#tail - this.#head + length) % length < length * part;
  }

  /** A frame, or a part of one, is not in memory yet. */
  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /** A frame waits for which there is a descriptor. */
  get mayGoOn(): boolean {
    return this.waits && this.#enabled && this.#config !== undefined && this.#posted(this.#config);
  }

  /**
   * Writes a new context, whose head is 0, running or not. `rxdid`: the format that the PF chose. Returns
   * how many frames were cut off.
   */
  configure(config: RxQueueConfig, rxdid: number): number {
    this.#config = config;
    this.#write = rxdid === RXDID.FLEX_NIC ? writeFlex : writeLegacy;
    this.#bufferSize = config.bufferSize - (config.bufferSize % CONTEXT_UNIT);
    this.#base = config.base - (config.base % CONTEXT_UNIT);
    this.#head = 0;
    return this.#begin();
  }

  enable(): void {
    this.#head = 0;
    this.#enabled = true;
    this.#begin();
  }

  /** Stops at once; returns how many frames were cut off that were not in memory as a whole. */
  disable(): number {
    this.#enabled = false;
    return this.#begin();
  }

  /** Forgets the context, as a reset does. */
  reset(): number {
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
    if (!this.#posted(config)) return "no-descriptor";
    if (this.waits) {
      if (!this.#hasRoom(config)) return "no-descriptor";
      this.#keep(frame, length, notes, 0);
      return "accepted";
    }
    let done = 0;
    while (done < length && this.#posted(config)) {
      const size = Math.min(this.#bufferSize, length - done);
      const outcome = this.#fill(frame, done, size, done + size === length, notes);
      if (outcome === "fault") return "dma-fault";
      if (outcome === "messages") break;
      done += size;
    }
    if (done < length) this.#keep(frame, length, notes, done);
    return "accepted";
  }

  #keep(frame: Uint8Array, length: number, notes: FrameNotes, done: number): void {
    this.#waiting.push({ bytes: frame.slice(0, length), notes: { ...notes }, done });
  }

  /** Goes on at once with what waited for descriptors. */
  resume(): DmaOutcome {
    while (this.mayGoOn) {
      const { bytes, done, notes } = this.#waiting[0]!;
      const size = Math.min(this.#bufferSize, bytes.length - done);
      const outcome = this.#fill(bytes, done, size, done + size === bytes.length, notes);
      if (outcome !== "done") return outcome;
      this.#filled(size);
    }
    return "done";
  }

  /** Fills the next descriptor wherever it and its buffer are; false on a fault. Needs {@link RxQueue.mayGoOn}. */
  async resumeByMessages(): Promise<boolean> {
    const life = this.#life;
    const { bytes, done, notes } = this.#waiting[0]!;
    const size = Math.min(this.#bufferSize, bytes.length - done);
    const ring = { base: this.#base, length: this.#config!.length, size: RX_DESCRIPTOR_SIZE };
    const copy = (this.#copy ??= new RingCopy(this.#dma, ring));
    const { data } = copy.span;
    const at = this.#head * RX_DESCRIPTOR_SIZE;
    const own = (): boolean => life === this.#life && this.#dma.master;
    const end = await inOrder([
      () => copy.find(0) !== undefined || copy.fetch(this.#head, this.#tail),
      () => own() && this.#dma.store(rxAddress(data, at), bytes.subarray(done, done + size)),
      () => own(),
      () => {
        this.#write(data, at, size, done + size === bytes.length, notes);
        copy.owe(this.#head);
        return copy.flush();
      },
    ]);
    if (life !== this.#life) return true;
    if (!end && this.#dma.master) this.#halt();
    if (!end) return !this.#dma.master;
    this.#advance();
    this.#filled(size);
    return true;
  }

  #filled(size: number): void {
    const first = this.#waiting[0]!;
    first.done += size;
    if (first.done === first.bytes.length) this.#waiting.shift();
  }

  /** Where the driver's descriptors end. */
  get #tail(): number {
    const written = this.#registers.get(VF_REGISTER.QRX_TAIL1 + 4 * this.index);
    return written - (written % TAIL_UNIT);
  }

  /** A descriptor stands between head and tail. A tail beyond the ring never comes. */
  #posted(config: RxQueueConfig): boolean {
    const tail = this.#tail;
    return this.#head !== tail && tail < config.length;
  }

  /** Behind those that wait there is a descriptor for one more frame. */
  #hasRoom({ length }: RxQueueConfig): boolean {
    let needed = 0;
    for (const { bytes, done } of this.#waiting) {
      needed += Math.ceil((bytes.length - done) / this.#bufferSize);
    }
    const posted = (this.#tail - this.#head + length) % length;
    return this.#waiting.length < WAITING_MAX && needed < posted;
  }

  #fill(
    frame: Uint8Array,
    from: number,
    size: number,
    last: boolean,
    notes: FrameNotes,
  ): DmaOutcome {
    const place = this.#base + this.#head * RX_DESCRIPTOR_SIZE;
    const ring = this.#dma.readable(place, RX_DESCRIPTOR_SIZE);
    if (ring === undefined) return this.#unreachable(place, "read");
    const at = place - ring.base;
    const address = rxAddress(ring.data, at);
    const whole = from === 0 && size === frame.length;
    const bytes = whole ? frame : frame.subarray(from, from + size);
    const outcome = this.#dma.write(address, bytes);
    if (outcome !== "done") return outcome === "fault" ? this.#halt() : outcome;
    if (this.#dma.writable(place, RX_DESCRIPTOR_SIZE) === undefined) {
      return this.#unreachable(place, "write");
    }
    this.#write(ring.data, at, size, last, notes);
    this.#advance();
    return "done";
  }

  #advance(): void {
    this.#head = (this.#head + 1) % this.#config!.length;
    this.#copy?.taken();
    this.wrote = true;
  }

  #unreachable(place: number, access: "read" | "write"): DmaOutcome {
    const outcome = this.#dma.without(place, RX_DESCRIPTOR_SIZE, access);
    return outcome === "fault" ? this.#halt() : outcome;
  }

  /** A fault stops the queue: the hardware cannot know what memory holds. */
  #halt(): "fault" {
    this.#enabled = false;
    this.#changed();
    return "fault";
  }

  /** What was under way for the queue is not its own any more; returns how many frames it was. */
  #begin(): number {
    this.#copy?.close();
    this.#copy = undefined;
    this.#life++;
    const cut = this.#waiting.length;
    if (cut > 0) this.#waiting = [];
    this.#changed();
    return cut;
  }
}
