import { VfmigError } from "@vfmig/core";
import type { Clock, Logger, Timer } from "@vfmig/core";
import type { NativeIo, ReceiveBounds } from "@vfmig/linux";
import { commandName } from "../codec/commands.ts";
import { describeErrno, ERRNO } from "../codec/errno.ts";
import { FLAG, HEADER, writeHeader } from "../codec/header.ts";
import { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";
import type { Operation } from "./operation.ts";
import { RequestBuffer } from "./request-buffer.ts";

export interface ChannelOptions {
  readonly io: NativeIo;
  readonly fd: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxMessageBytes: number;
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
const IDS = 0x1_0000;

/** Requests and replies of a client, matched by id; for callers that await and callers that wait. */
export class Channel {
  readonly out: RequestBuffer = new RequestBuffer();
  readonly connection: Connection;
  /** Settles when the connection has ended; undefined where this side closed it. */
  readonly closed: Promise<VfmigError | undefined>;
  readonly #options: ChannelOptions;
  readonly #pending = new Map<number, Pending>();
  /** Ids whose callers have given up; not used again before the late reply has come. */
  readonly #abandoned = new Set<number>();
  #nextId = 1;
  #ended: VfmigError | undefined;
  #closing = false;
  /** The region read that stands still for its reply: id, where the data go, and what became of it. */
  #readId = -1;
  #readInto: Uint8Array | undefined;
  #readError: VfmigError | undefined;
  #readFrom: ((message: Message, into: Uint8Array) => void) | undefined;

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
    this.connection.start();
  }

  /** Sends a request; settles with its reply. */
  call<T>(operation: Operation<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#alive(operation);
      const { callTimeoutMs, clock } = this.#options;
      const id = this.#takeId();
      const timer = clock.after(callTimeoutMs, () => {
        if (this.#giveUp(id)) reject(this.#timeout(operation, callTimeoutMs));
      });
      this.#pending.set(id, {
        command: operation.command,
        settle: (message) => resolve(this.#answer(operation, message)),
        reject,
        timer,
      });
      this.#send(id, operation, 0);
    });
  }

  /** Sends a request and stands still until its reply is there. Other replies are handled meanwhile. */
  callSync<T>(operation: Operation<T>): T {
    this.#alive(operation);
    const id = this.#takeId();
    let result: { readonly value: T } | undefined;
    let failure: VfmigError | undefined;
    this.#pending.set(id, {
      command: operation.command,
      settle: (message) => (result = { value: this.#answer(operation, message) }),
      reject: (error) => (failure = error),
      timer: undefined,
    });
    this.#send(id, operation, 0);
    this.#standStill(operation.command, id, () => result !== undefined || failure !== undefined);
    if (result !== undefined) return result.value;
    throw failure;
  }

  /** Sends a request for which no reply is wanted, and waits only for a congested socket. */
  post(operation: Omit<Operation<void>, "read">): void {
    this.#alive(operation);
    this.#send(this.#takeId(), operation, FLAG.NO_REPLY);
    if (!this.connection.congested) return;
    this.#standStill(operation.command, -1, () => !this.connection.congested);
  }

  /**
   * The short way for region reads: the request of `payloadBytes` bytes stands in `out` already, and
   * `read` copies from the reply to `into`. Allocates nothing.
   */
  readSync(
    command: number,
    payloadBytes: number,
    into: Uint8Array,
    read: (message: Message, into: Uint8Array) => void,
  ): void {
    if (this.#ended !== undefined) throw this.#gone(commandName(command));
    const id = this.#takeId();
    this.#readId = id;
    this.#readInto = into;
    this.#readFrom = read;
    this.#readError = undefined;
    this.#sendBuilt(id, command, payloadBytes, 0);
    if (!this.#waitForRead(command, id)) this.#readInto = undefined;
    // Set by the handler meanwhile, which the compiler cannot see.
    const error = this.#readError as VfmigError | undefined;
    if (error !== undefined) throw error;
  }

  close(): void {
    this.#closing = true;
    this.connection.close();
  }

  #waitForRead(command: number, id: number): boolean {
    const limitUs = this.#options.syncTimeoutMs * 1000;
    // The usual case: one wait, one reply, and no look at the clock.
    this.connection.pump(limitUs, this.#options.wait?.emptyReads ?? 0);
    if (this.#readId === id) {
      const deadline = this.#options.clock.now() + this.#options.syncTimeoutMs;
      while (this.#readId === id) {
        const leftMs = deadline - this.#options.clock.now();
        if (leftMs <= 0) {
          this.#readId = -1;
          this.#abandoned.add(id);
          this.#readError = this.#timeout({ command }, this.#options.syncTimeoutMs);
          return false;
        }
        this.connection.pump(Math.ceil(leftMs * 1000), 0);
      }
    }
    return true;
  }

  #standStill(command: number, id: number, done: () => boolean): void {
    const { clock, syncTimeoutMs } = this.#options;
    const deadline = clock.now() + syncTimeoutMs;
    while (!done()) {
      if (this.#ended !== undefined) throw this.#gone(commandName(command));
      const leftMs = deadline - clock.now();
      if (leftMs <= 0) {
        this.#giveUp(id);
        throw this.#timeout({ command }, syncTimeoutMs);
      }
      this.connection.pump(Math.ceil(leftMs * 1000), this.#options.wait?.emptyReads ?? 0);
    }
  }

  #send(id: number, operation: Omit<Operation<unknown>, "read">, flags: number): void {
    let payloadBytes: number;
    try {
      payloadBytes = operation.write(this.out);
    } catch (error) {
      this.#drop(id);
      throw error;
    }
    this.#sendBuilt(id, operation.command, payloadBytes, flags, operation.fds);
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

  #takeId(): number {
    for (let tries = 0; tries < IDS; tries += 1) {
      const id = this.#nextId;
      this.#nextId = (id + 1) % IDS;
      if (!this.#pending.has(id) && !this.#abandoned.has(id)) return id;
    }
    throw new VfmigError(
      "ERR_VFMIG_VFIO_USER_TIMEOUT",
      "vfio-user: the server has 65,536 requests to answer, and no id is left; close the connection",
      { layer: "vfio-user" },
    );
  }

  #onMessage(message: Message): void {
    if (!message.isReply) {
      // DMA_READ and DMA_WRITE; guest memory has fds here, so a server has no need of them.
      this.#refuse(message);
      return;
    }
    if (message.id === this.#readId) return this.#finishRead(message);
    const pending = this.#pending.get(message.id);
    if (pending === undefined) {
      const late = this.#abandoned.delete(message.id);
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

  #finishRead(message: Message): void {
    this.#readId = -1;
    const into = this.#readInto;
    const read = this.#readFrom;
    if (into === undefined || read === undefined) return;
    try {
      if (message.isError) throw remoteError(message, undefined);
      read(message, into);
    } catch (error) {
      this.#readError = asReplyError(error, message.command);
    }
  }

  #answer<T>(operation: Operation<T>, message: Message): T {
    if (message.isError) throw remoteError(message, operation.what);
    return operation.read(message);
  }

  #refuse(message: Message): void {
    this.#options.logger.warn("vfio-user: a command of the server was refused", {
      command: commandName(message.command),
    });
    if (message.noReply) return;
    const flags = FLAG.TYPE_REPLY | FLAG.ERROR;
    const reply = new Uint8Array(HEADER.BYTES);
    const view = new DataView(reply.buffer);
    writeHeader(view, message.id, message.command, HEADER.BYTES, flags, ERRNO.EOPNOTSUPP);
    this.connection.send(reply, HEADER.BYTES);
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
    this.#abandoned.add(id);
    return true;
  }

  #onEnd(error: VfmigError | undefined): VfmigError | undefined {
    const reason = error ?? (this.#closing ? undefined : peerGone());
    this.#ended = reason ?? closedHere();
    for (const [id, pending] of this.#pending) {
      this.#drop(id);
      pending.reject(this.#gone(commandName(pending.command)));
    }
    if (this.#readId >= 0) {
      this.#readId = -1;
      this.#readError = this.#gone("a region read");
    }
    return reason;
  }

  #alive(operation: Pick<Operation<unknown>, "command">): void {
    if (this.#ended !== undefined) throw this.#gone(commandName(operation.command));
  }

  #gone(what: string): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_VFIO_USER_CLOSED",
      `vfio-user: ${what} gets no answer, since the connection has ended: ${this.#ended?.message ?? ""}`,
      { layer: "vfio-user", details: { what }, cause: this.#ended },
    );
  }

  #timeout(operation: Pick<Operation<unknown>, "command" | "what">, limitMs: number): VfmigError {
    const name = commandName(operation.command);
    const where = operation.what === undefined ? "" : ` (${operation.what})`;
    return new VfmigError(
      "ERR_VFMIG_VFIO_USER_TIMEOUT",
      `vfio-user: no answer to ${name}${where} within ${limitMs} ms; the server may be busy with another client`,
      { layer: "vfio-user", details: { command: name, limitMs } },
    );
  }
}

function remoteError(message: Message, what: string | undefined): VfmigError {
  const name = commandName(message.command);
  const where = what === undefined ? "" : ` (${what})`;
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_REMOTE",
    `vfio-user: the server answered ${name}${where} with ${describeErrno(message.errno)}; its log says why`,
    { layer: "vfio-user", details: { command: name, errno: message.errno } },
  );
}

/** What a reader of replies threw: the server's fault, whatever it is. */
function asReplyError(error: unknown, command: number): VfmigError {
  if (VfmigError.is(error) && error.code === "ERR_VFMIG_VFIO_USER_REMOTE") return error;
  const name = commandName(command);
  const text = error instanceof Error ? error.message : String(error);
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_PROTOCOL",
    `vfio-user: the server's reply to ${name} makes no sense: ${text}`,
    { layer: "vfio-user", details: { command: name }, cause: error },
  );
}

function peerGone(): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_CLOSED",
    "vfio-user: the server has closed the connection; its log says why",
    { layer: "vfio-user" },
  );
}

function closedHere(): VfmigError {
  return new VfmigError("ERR_VFMIG_VFIO_USER_CLOSED", "vfio-user: this client was closed", {
    layer: "vfio-user",
  });
}
