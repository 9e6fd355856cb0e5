import { VfmigError } from "@vfmig/core";
import type { Clock, Timer } from "@vfmig/core";
import { AdaptiveReceiver, receiveSoon } from "@vfmig/linux";
import type { NativeIo, ReceiveBounds, Watch } from "@vfmig/linux";
import { FrameReader } from "./frame-reader.ts";
import type { Message } from "./message.ts";
import { SendBatch } from "./send-batch.ts";
import { SendQueue } from "./send-queue.ts";
import type { WaitPolicy } from "./wait-policy.ts";

export interface ConnectionOptions {
  readonly io: NativeIo;
  /** A connected, non-blocking stream socket; the connection closes it. */
  readonly fd: number;
  readonly clock: Clock;
  /** Largest message that the peer may send, header included, in bytes. */
  readonly maxMessageBytes: number;
  /** Most fds that one message may bring. */
  readonly maxFds: number;
  /** Unsent bytes above which {@link Connection.congested} is true. */
  readonly sendLimitBytes: number;
  /** How long to wait for a further message before the event loop runs again. Default: not at all. */
  readonly wait?: WaitPolicy | undefined;
  /** True while work of this connection needs the event loop, so that waiting would hold it up. */
  readonly busy?: () => boolean;
  /** Called for each message; fds that it leaves in the message are closed. */
  readonly onMessage: (message: Message) => void;
  /** Called once; `error` undefined where the peer, or this side, simply closed. */
  readonly onEnd: (error: VfmigError | undefined) => void;
  /** Everything waiting was sent, after a congestion. */
  readonly onDrained?: () => void;
}

/** Messages of one turn of the event loop; then timers and other descriptors have theirs. */
const TURN_MESSAGES = 128;
/** Longest wait for room to send before a caller that stands still looks for messages again. */
const SEND_SLICE_US = 500;

/** Looks of a caller that stands still between two yields of the CPU. */
const LOOKS_PER_YIELD = 4;

type Received = "data" | "nothing" | "ended";

/**
 * Messages over one socket: reads as many as there are in one call, sends each in one call or, where more
 * of them wait to be answered, several, and keeps account of fds.
 */
export class Connection {
  readonly reader: FrameReader;
  readonly #options: ConnectionOptions;
  readonly #queue: SendQueue;
  readonly #batch: SendBatch;
  readonly #adaptive: AdaptiveReceiver | undefined;
  readonly #bounds: ReceiveBounds | undefined;
  readonly #fds: number[] = [];
  #watch: Watch | undefined;
  #again: Timer | undefined;
  #paused = false;
  #closed = false;
  #dispatching = false;
  /** The last read left room in the buffer, and no fds ended it early. */
  #tookAll = false;
  /** The last message was answered while it was handled: its sender may be about to ask again. */
  #answered = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.reader = new FrameReader({
      maxMessageBytes: options.maxMessageBytes,
      maxFds: options.maxFds,
    });
    const { wait } = options;
    this.#adaptive = wait === "adaptive" ? new AdaptiveReceiver(options.io) : undefined;
    this.#bounds = typeof wait === "object" ? wait : undefined;
    this.#queue = new SendQueue({
      io: options.io,
      fd: options.fd,
      clock: options.clock,
      limitBytes: options.sendLimitBytes,
      onFailure: (error) => this.#fail("cannot send", error),
      onDrained: () => options.onDrained?.(),
    });
    this.#batch = new SendBatch(this.#queue);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** More bytes wait for the peer than the limit allows. */
  get congested(): boolean {
    return this.#queue.congested;
  }

  get unsentBytes(): number {
    return this.#queue.waitingBytes;
  }

  /** Begins to take messages from the event loop. */
  start(): void {
    if (this.#closed || this.#watch !== undefined) return;
    this.#watch = this.#options.io.watch(this.#options.fd, () => this.#turn());
  }

  /** Takes no further messages until {@link Connection.resume}. Call it from a handler too. */
  pause(): void {
    this.#paused = true;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.start();
    // Complete messages may stand in the buffer with nothing left to read behind them.
    this.#goOnSoon();
  }

  /** Sends one message of `length` bytes from the start of `bytes`. The fds stay the caller's. */
  send(bytes: Uint8Array, length: number, fds?: readonly number[]): void {
    if (this.#dispatching) {
      this.#answered = true;
      // More requests stand in the buffer: one call sends the answers of all of them.
      if (this.#batch.add(bytes, length, fds, this.reader.ready)) return;
    }
    this.#batch.flush();
    this.#queue.send(bytes, length, fds);
  }

  /**
   * For a caller that waits on this thread: handles what there is, else waits until something comes, at
   * most `timeoutUs` microseconds, and handles that. Looks `emptyReads` times before it sleeps.
   */
  pump(timeoutUs: number, emptyReads: number): void {
    if (this.#dispatch(Infinity) > 0 || this.#closed) return;
    const { io, fd } = this.#options;
    if (!this.#queue.empty && !this.#queue.flush()) {
      // The server may stand still for our reading, as we do for its; so look for both.
      io.waitWritable(fd, Math.min(timeoutUs, SEND_SLICE_US));
      this.#receiveAll();
      return;
    }
    for (let left = emptyReads; left > 0; left -= 1) {
      // A peer on this very CPU can write its answer only when it is let.
      if (left % LOOKS_PER_YIELD === 0) io.yieldCpu();
      if (this.#receiveAll()) return;
    }
    if (io.waitReadable(fd, timeoutUs)) this.#receiveAll();
  }

  /**
   * Looks for further messages after an answer that was sent from outside of a handler, as a turn of the
   * event loop would; only where it is worth while to wait for them.
   */
  lookAgain(): void {
    if (this.#adaptive === undefined || this.#dispatching || this.#closed || this.#paused) return;
    this.#answered = true;
    if (!this.#worthWaiting()) return;
    if (this.#receive(true) === "data") this.#takeTurn();
    this.#adaptive.turnEnds();
  }

  /** Ends the connection from this side. */
  close(): void {
    this.#batch.flush();
    this.#end(undefined);
  }

  /** Ends the connection because the peer broke the protocol. */
  protocolError(problem: string): void {
    this.#batch.flush();
    this.#end(
      new VfmigError(
        "ERR_VFMIG_VFIO_USER_PROTOCOL",
        `vfio-user: the peer broke the protocol: ${problem}; the connection was closed`,
        { layer: "vfio-user", details: { problem } },
      ),
    );
  }

  /** One turn of the event loop: what there is, within the turn's budget. */
  #turn(): void {
    this.#adaptive?.turnBegins();
    this.#takeTurn();
    this.#adaptive?.turnEnds();
  }

  #takeTurn(): void {
    let budget = TURN_MESSAGES;
    for (;;) {
      budget -= this.#dispatch(budget);
      if (this.#closed || this.#paused) return;
      if (budget <= 0) {
        // The watch calls again for what is in the socket, but knows nothing of this buffer.
        if (this.reader.ready) this.#goOnSoon();
        return;
      }
      // A read that left room took all there was; the watch calls again for what comes later.
      const wait = this.#tookAll;
      this.#tookAll = false;
      const rest = wait && this.#adaptive !== undefined && this.reader.partial;
      if (wait && !rest && !this.#worthWaiting()) return;
      if (this.#receive(wait, rest) !== "data") return;
    }
  }

  /** The peer has its answer, and nothing that only the event loop can bring on is under way. */
  #worthWaiting(): boolean {
    if (this.#adaptive === undefined && this.#bounds === undefined) return false;
    return this.#answered && this.#queue.empty && this.#options.busy?.() !== true;
  }

  /** Receives and handles what there is; true if there was anything, or the connection has ended. */
  #receiveAll(): boolean {
    let any = false;
    while (!this.#closed && this.#receive(false) === "data") {
      any = true;
      this.#dispatch(Infinity);
      if (this.#tookAll) break;
    }
    return any || this.#closed;
  }

  /** Handles complete messages in the buffer; returns how many. */
  #dispatch(budget: number): number {
    if (this.#dispatching) return 0;
    this.#dispatching = true;
    let count = 0;
    try {
      while (count < budget && !this.#closed && !this.#paused) {
        const result = this.reader.next();
        if (result === "partial") break;
        if (result === "broken") {
          this.protocolError(this.reader.problem);
          break;
        }
        count += 1;
        this.#answered = false;
        this.#options.onMessage(this.reader.message);
        if (this.reader.message.fds.length > 0) this.#closeAll(this.reader.message.fds.splice(0));
      }
    } finally {
      this.#dispatching = false;
      this.#batch.flush();
    }
    return count;
  }

  #receive(wait: boolean, rest: boolean = false): Received {
    const reader = this.reader;
    reader.makeRoom();
    let count: number;
    try {
      count = wait ? this.#receiveWaiting(rest) : this.#receiveNow();
    } catch (error) {
      this.#fail("cannot receive", error);
      return "ended";
    }
    if (count < 0) return "nothing";
    if (count === 0) {
      this.#end(undefined);
      return "ended";
    }
    this.#tookAll = count < reader.room && this.#fds.length === 0;
    reader.commit(count, this.#fds);
    return "data";
  }

  #receiveNow(): number {
    const { reader } = this;
    const { io, fd } = this.#options;
    return io.receive(fd, reader.bytes, reader.writeOffset, reader.room, this.#fds);
  }

  #receiveWaiting(rest: boolean): number {
    const { reader } = this;
    const { bytes, writeOffset, room } = reader;
    const { io, fd } = this.#options;
    if (this.#adaptive !== undefined) {
      if (rest) return this.#adaptive.receiveRest(fd, bytes, writeOffset, room, this.#fds);
      return this.#adaptive.receive(fd, bytes, writeOffset, room, this.#fds);
    }
    return receiveSoon(io, fd, bytes, writeOffset, room, this.#fds, this.#bounds);
  }

  #goOnSoon(): void {
    this.#again ??= this.#options.clock.soon(() => {
      this.#again = undefined;
      if (!this.#closed && !this.#paused) this.#turn();
    });
  }

  #fail(what: string, cause: unknown): void {
    this.#end(
      new VfmigError("ERR_VFMIG_VFIO_USER_CLOSED", `vfio-user: the connection broke: ${what}`, {
        layer: "vfio-user",
        cause,
      }),
    );
  }

  #end(error: VfmigError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#again?.cancel();
    this.#queue.close();
    this.#closeAll(this.reader.drainFds());
    this.#closeAll(this.#fds.splice(0));
    this.#options.io.close(this.#options.fd);
    this.#options.onEnd(error);
  }

  #closeAll(fds: readonly number[]): void {
    for (const fd of fds) this.#options.io.close(fd);
  }
}
