import type { Clock, Logger, Timer, VfmigError } from "@vfmig/core";
import type { NativeIo, ReceiveBounds } from "@vfmig/linux";
import { commandName } from "../codec/commands.ts";
import { FLAG, HEADER, writeHeader } from "../codec/header.ts";
import { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";
import { AccessSlot } from "./access-slot.ts";
import {
  asReplyError,
  closedError,
  remoteError,
  timeoutError,
  unansweredError,
} from "./channel-errors.ts";
import { MessageIds } from "../exchange/message-ids.ts";
import { DmaAnswers } from "./dma-answers.ts";
import type { GuestMappings } from "./guest-mappings.ts";
import type { Operation } from "./operation.ts";
import { RequestBuffer } from "../exchange/request-buffer.ts";

export interface ChannelOptions {
  readonly io: NativeIo;
  readonly fd: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxMessageBytes: number;
  /** Most data of a DMA message of the server, in bytes. */
  readonly maxDataTransferSize: number;
  readonly syncTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly wait: ReceiveBounds | undefined;
}

/** A call that waits for its reply. `settle` runs while the reply stands in the buffer. */
interface Pending {
  readonly command: number;
  readonly settle: (message: Message) => void;
  readonly reject: (error: VfmigError) => void;
  readonly timer: Timer | undefined;
}

const MAX_MESSAGE_FDS = 16;
const SEND_LIMIT = 4_194_304;
/** How long a caller that stands still looks at one socket before it looks at the other. */
const TWIN_SLICE_US = 200;
const SERVER_CLOSED = "the server has closed the connection; its log says why";

/** Requests and replies of a client, matched by id; for callers that await and callers that wait. */
export class Channel {
  readonly out: RequestBuffer = new RequestBuffer();
  readonly connection: Connection;
  /** Settles when the connection has ended; undefined where this side closed it. */
  readonly closed: Promise<VfmigError | undefined>;
  readonly #options: ChannelOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #ids = new MessageIds();
  #ended: VfmigError | undefined;
  #closing = false;
  readonly #access = new AccessSlot();
  readonly #answers: DmaAnswers;
  #twin: Connection | undefined;
  #twinAnswers: DmaAnswers | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const closed = Promise.withResolvers<VfmigError | undefined>();
    this.closed = closed.promise;
    this.connection = new Connection({
      io: options.io,
      fd: options.fd,
      clock: options.clock,
      maxMessageBytes: options.maxMessageBytes,
      maxFds: MAX_MESSAGE_FDS,
      sendLimitBytes: SEND_LIMIT,
      wait: options.wait,
      onMessage: (message) => this.#onMessage(message),
      onEnd: (error) => closed.resolve(this.#onEnd(error)),
    });
    this.#answers = new DmaAnswers(this.connection, options.maxDataTransferSize, options.logger);
    this.connection.start();
  }

  /** Answers the server's DMA messages from there from now on. */
  answerFrom(mappings: GuestMappings): void {
    this.#answers.use(mappings);
    this.#twinAnswers?.use(mappings);
  }

  /** Takes over the server's second socket, over which its DMA messages come. */
  attachTwin(fd: number): void {
    const { io, clock, maxMessageBytes, maxDataTransferSize, logger } = this.#options;
    const twin = new Connection({
      io,
      fd,
      clock,
      maxMessageBytes,
      maxFds: MAX_MESSAGE_FDS,
      sendLimitBytes: SEND_LIMIT,
      onMessage: (message) => this.#twinAnswers?.serve(message),
      onEnd: (error) => {
        if (error !== undefined) logger.warn(error.message, { code: error.code });
      },
    });
    this.#twin = twin;
    this.#twinAnswers = new DmaAnswers(twin, maxDataTransferSize, logger);
    io.setNonBlocking(fd);
    twin.start();
  }

  /** Sends a request; settles with its reply. */
  call<T>(operation: Operation<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended !== undefined) throw unansweredError(operation.command, this.#ended);
      const { callTimeoutMs, clock } = this.#options;
      const id = this.#ids.take(this.#pending);
      const timer = clock.after(callTimeoutMs, () => {
        if (this.#giveUp(id))
          reject(timeoutError(operation.command, operation.what, callTimeoutMs));
      });
      this.#pending.set(id, {
        command: operation.command,
        settle: (message) => resolve(this.#answer(operation, message)),
        reject,
        timer,
      });
      this.#send(id, operation);
    });
  }

  /** Sends a request and stands still until its reply is there. Other replies are handled meanwhile. */
  callSync<T>(operation: Operation<T>): T {
    if (this.#ended !== undefined) throw unansweredError(operation.command, this.#ended);
    const id = this.#ids.take(this.#pending);
    let result: { readonly value: T } | undefined;
    let failure: VfmigError | undefined;
    this.#pending.set(id, {
      command: operation.command,
      settle: (message) => (result = { value: this.#answer(operation, message) }),
      reject: (error) => (failure = error),
      timer: undefined,
    });
    this.#send(id, operation);
    this.#standStill(operation.command, id, () => result !== undefined || failure !== undefined);
    if (result !== undefined) return result.value;
    throw failure;
  }

  /**
   * A region access whose request of `payloadBytes` bytes stands in `out` already; waits for the answer,
   * whose data go to `into` for a read. Allocates nothing.
   */
  access(
    command: number,
    region: number,
    offset: number,
    payloadBytes: number,
    into: Uint8Array,
  ): void {
    if (this.#ended !== undefined) throw unansweredError(command, this.#ended);
    const id = this.#ids.take(this.#pending);
    this.#access.open(id, command, region, offset, into);
    this.#sendBuilt(id, command, payloadBytes, 0);
    this.#awaitAccess();
    if (this.#access.error !== undefined) throw this.#access.error;
  }

  /** As {@link Channel.access}, but no reply is wanted; waits only while the socket is congested. */
  post(command: number, payloadBytes: number): void {
    if (this.#ended !== undefined) throw unansweredError(command, this.#ended);
    this.#sendBuilt(this.#ids.take(this.#pending), command, payloadBytes, FLAG.NO_REPLY);
    if (!this.connection.congested) return;
    this.#standStill(command, -1, () => !this.connection.congested);
  }

  close(): void {
    this.#closing = true;
    this.connection.close();
  }

  #awaitAccess(): void {
    const { clock, syncTimeoutMs, wait } = this.#options;
    // The usual case: one wait, one reply, and no look at the clock.
    if (this.#twin === undefined) {
      this.connection.pump(syncTimeoutMs * 1000, wait?.emptyReads ?? 0);
    }
    if (!this.#access.waiting) return;
    const deadline = clock.now() + syncTimeoutMs;
    while (this.#access.waiting) {
      const leftMs = deadline - clock.now();
      if (leftMs <= 0) {
        const { id, command, what } = this.#access;
        this.#ids.abandon(id);
        this.#access.fail(timeoutError(command, what, syncTimeoutMs));
        return;
      }
      this.#pump(leftMs, 0);
    }
  }

  /** The server may need answers on its second socket before it can answer on the first. */
  #pump(leftMs: number, emptyReads: number): void {
    const limitUs = Math.ceil(leftMs * 1000);
    const twin = this.#twin;
    if (twin === undefined || twin.closed) return this.connection.pump(limitUs, emptyReads);
    this.connection.pump(Math.min(limitUs, TWIN_SLICE_US), emptyReads);
    twin.pump(0, 0);
  }

  #standStill(command: number, id: number, done: () => boolean): void {
    const { clock, syncTimeoutMs } = this.#options;
    const deadline = clock.now() + syncTimeoutMs;
    while (!done()) {
      if (this.#ended !== undefined) throw unansweredError(command, this.#ended);
      const leftMs = deadline - clock.now();
      if (leftMs <= 0) {
        this.#giveUp(id);
        throw timeoutError(command, undefined, syncTimeoutMs);
      }
      this.#pump(leftMs, this.#options.wait?.emptyReads ?? 0);
    }
  }

  #send(id: number, operation: Omit<Operation<unknown>, "read">): void {
    let payloadBytes: number;
    try {
      payloadBytes = operation.write(this.out);
    } catch (error) {
      this.#drop(id);
      throw error;
    }
    this.#sendBuilt(id, operation.command, payloadBytes, 0, operation.fds);
  }

  #sendBuilt(
    id: number,
    command: number,
    payloadBytes: number,
    flags: number,
    fds?: readonly number[],
  ): void {
    const size = HEADER.BYTES + payloadBytes;
    writeHeader(this.out.view, id, command, size, FLAG.TYPE_COMMAND | flags, 0);
    this.connection.send(this.out.bytes, size, fds);
  }

  #onMessage(message: Message): void {
    if (!message.isReply) {
      this.#answers.serve(message);
      return;
    }
    if (message.id === this.#access.id) {
      if (message.command !== this.#access.command) this.#mismatch(message, this.#access.command);
      else this.#access.settle(message);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) {
      const late = this.#ids.returned(message.id);
      const { command } = message;
      this.#options.logger.debug("vfio-user: a reply that nobody waits for was dropped", {
        command,
        late,
      });
      return;
    }
    if (pending.command !== message.command) return this.#mismatch(message, pending.command);
    this.#drop(message.id);
    try {
      pending.settle(message);
    } catch (error) {
      pending.reject(asReplyError(error, message.command));
    }
  }

  #answer<T>(operation: Operation<T>, message: Message): T {
    if (message.isError) throw remoteError(message, operation.what);
    return operation.read(message);
  }

  #mismatch(message: Message, expected: number): void {
    this.connection.protocolError(
      `reply ${message.id} is to ${commandName(message.command)} instead of ${commandName(expected)}`,
    );
  }

  #drop(id: number): void {
    this.#pending.get(id)?.timer?.cancel();
    this.#pending.delete(id);
  }

  /** True where the id still waited. */
  #giveUp(id: number): boolean {
    if (!this.#pending.has(id)) return false;
    this.#drop(id);
    this.#ids.abandon(id);
    return true;
  }

  #onEnd(error: VfmigError | undefined): VfmigError | undefined {
    this.#twin?.close();
    const reason = error ?? (this.#closing ? undefined : closedError(SERVER_CLOSED));
    this.#ended = reason ?? closedError("this client was closed");
    for (const [id, pending] of this.#pending) {
      this.#drop(id);
      pending.reject(unansweredError(pending.command, this.#ended));
    }
    if (this.#access.waiting) {
      this.#access.fail(unansweredError(this.#access.command, this.#ended));
    }
    return reason;
  }
}
