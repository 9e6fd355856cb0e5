import { type Clock, type Logger, type Timer, VfmigError } from "@vfmig/core";
import type { NativeIo, Watch } from "@vfmig/linux";
import { FrameFifo } from "./frame-fifo.ts";
import { MAX_WIRE_FRAME } from "./messages.ts";
import type { FrameVerdict, WirePort } from "./port.ts";
import { createWireCounters, MIN_WIRE_FRAME, type WireCounters } from "./wire-counters.ts";

/** Frames taken in one turn at most: a flood must not keep the guest from its registers. */
const BURST = 64;
/** What waits for the other end at most. Bursts of a guest's TSO are of about 45 frames. */
const FIFO_BYTES = 2 * 1024 * 1024;
const FIFO_FRAMES = 4096;
/** Turns of the event loop in which a full other end is tried again, before a timer is set, in ms. */
const EAGER_TURNS = 32;
const RETRY_MS = 1;
/** After so long without any frame taken, what waits is dropped: nobody wants it so late. */
const STALE_MS = 1000;

/** A descriptor whose every read and write is one frame. */
export interface PacketEnd {
  readonly fd: number;
  /** Reads one frame: its whole length, which may exceed the buffer's, or -1 where none is there. */
  read(into: Uint8Array): number;
  /** Writes one frame: its length, -1 where there is no room now, -2 where nobody takes it. */
  write(from: Uint8Array, offset: number, length: number): number;
  close(): void;
}

/** A {@link WirePort} that tells what went over it. */
export interface CountingPort extends WirePort {
  readonly counters: Readonly<WireCounters>;
}

export interface PacketPortParts {
  readonly io: NativeIo;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the log calls this wire, such as `dgram /run/a`. */
  readonly name: string;
}

/**
 * A port over a descriptor that carries frames: unix datagrams, a TAP. What the other end does not take
 * at once waits in a FIFO, and is dropped and counted once that is full: nothing here ever waits.
 */
export class PacketPort implements CountingPort {
  readonly counters: WireCounters = createWireCounters();
  readonly #parts: PacketPortParts;
  readonly #end: PacketEnd;
  readonly #watch: Watch;
  readonly #fifo = new FrameFifo(FIFO_BYTES, FIFO_FRAMES);
  // One byte more than a frame may have, so that a longer one shows.
  readonly #buffer = new Uint8Array(MAX_WIRE_FRAME + 1);
  /** Views of the buffer by length: making one for each frame would be work for the collector. */
  readonly #views: Uint8Array[] = [];
  readonly #complaints = new Set<unknown>();
  #receive: ((frame: Uint8Array) => FrameVerdict) | undefined;
  #retry: Timer | undefined;
  #tries = 0;
  /** When the frames that wait began to, or the last one of them went out. */
  #progressMs = 0;
  #closed = false;

  constructor(parts: PacketPortParts, end: PacketEnd) {
    this.#parts = parts;
    this.#end = end;
    this.#watch = parts.io.watch(end.fd, () => this.#readable());
  }

  attach(receive: (frame: Uint8Array) => FrameVerdict): void {
    this.#receive = receive;
  }

  transmit(frame: Uint8Array): void {
    if (this.#closed || !this.#fits(frame.length)) return;
    if (this.#fifo.count === 0 && this.#write(frame, 0, frame.length)) return;
    if (this.#fifo.count === 0) this.#began();
    if (!this.#fifo.push(frame)) this.counters.full++;
    this.#schedule();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receive = undefined;
    this.#retry?.cancel();
    this.#watch[Symbol.dispose]();
    this.#end.close();
    this.#parts.logger.info(`wire ${this.#parts.name} is closed`, { ...this.counters });
  }

  #fits(length: number): boolean {
    if (length < MIN_WIRE_FRAME) this.counters.runts++;
    else if (length > MAX_WIRE_FRAME) this.counters.oversize++;
    else return true;
    return false;
  }

  #readable(): void {
    for (let left = BURST; left > 0 && !this.#closed; left--) {
      const length = this.#end.read(this.#buffer);
      if (length < 0) return;
      if (!this.#fits(length)) continue;
      this.counters.received++;
      this.#receive?.((this.#views[length] ??= this.#buffer.subarray(0, length)));
    }
  }

  /** True where the frame is done with, sent or not; false where it has to wait. */
  #write(from: Uint8Array, offset: number, length: number): boolean {
    let result: number;
    try {
      result = this.#end.write(from, offset, length);
    } catch (error) {
      this.counters.failed++;
      this.#complain(error);
      return true;
    }
    if (result === -1) return false;
    if (result === -2) this.counters.absent++;
    else this.counters.sent++;
    return true;
  }

  #schedule(): void {
    if (this.#retry !== undefined) return;
    const { clock } = this.#parts;
    const run = (): void => this.#flush();
    this.#retry = this.#tries++ < EAGER_TURNS ? clock.soon(run) : clock.after(RETRY_MS, run);
  }

  #flush(): void {
    this.#retry = undefined;
    const fifo = this.#fifo;
    while (fifo.count > 0) {
      if (!this.#write(fifo.bytes, fifo.headOffset, fifo.headLength)) {
        if (this.#parts.clock.now() - this.#progressMs < STALE_MS) {
          this.#schedule();
        } else {
          this.counters.full += fifo.count;
          fifo.clear();
        }
        return;
      }
      fifo.shift();
      this.#began();
    }
  }

  #began(): void {
    this.#tries = 0;
    this.#progressMs = this.#parts.clock.now();
  }

  /** Says each kind of failure once; there may be one for every frame. */
  #complain(error: unknown): void {
    const kind = VfmigError.is(error) ? error.details["errno"] : undefined;
    if (this.#complaints.has(kind)) return;
    this.#complaints.add(kind);
    this.#parts.logger.warn(`wire ${this.#parts.name} lost a frame; this is said once`, {
      error: String(error),
    });
  }
}
