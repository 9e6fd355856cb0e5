import { VfmigError } from "@vfmig/core";
import type { Clock, Timer } from "@vfmig/core";
import { COMMAND, commandName } from "../codec/commands.ts";
import { DMA_ACCESS, writeDmaAccess } from "../codec/dma-access.ts";
import { describeErrno, ERRNO } from "../codec/errno.ts";
import { FLAG, HEADER, writeHeader } from "../codec/header.ts";
import { MessageIds } from "../exchange/message-ids.ts";
import { RequestBuffer } from "../exchange/request-buffer.ts";
import type { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";

/** Requests that wait for a client's answer at one time, and their data in bytes; others queue here. */
const MAX_IN_FLIGHT = 64;
const MAX_IN_FLIGHT_BYTES = 4_194_304;

/** A request to the client; `write` fills the payload of `bytes` bytes when its turn has come. */
interface Call {
  readonly command: number;
  readonly what: string;
  readonly bytes: number;
  /** Data that the exchange moves, either way. */
  readonly dataBytes: number;
  readonly write: (out: RequestBuffer) => void;
  /** Runs while the reply stands in the buffer. */
  readonly settle: (message: Message) => void;
  readonly reject: (error: VfmigError) => void;
}

interface Pending extends Call {
  readonly timer: Timer;
}

/** What the tracer wants to know of a request that goes out. */
export type OnRequest = (id: number, command: number, payload: Uint8Array) => void;

/** What the server asks of its client: DMA_READ and DMA_WRITE, matched by id, several at a time. */
export class ClientCalls {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onChange: () => void;
  readonly #onRequest: OnRequest | undefined;
  readonly #ids = new MessageIds();
  readonly #out = new RequestBuffer();
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: Call[] = [];
  #bytes = 0;
  #connection: Connection | undefined;
  #ended: string | undefined;

  /** `onChange` runs when there is a first answer to wait for, or one fewer. */
  constructor(clock: Clock, timeoutMs: number, onChange: () => void, onRequest?: OnRequest) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onChange = onChange;
    this.#onRequest = onRequest;
  }

  /** Sends there from now on: the client's socket, or its twin. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  /** Requests without an answer, those that were not sent yet included. */
  get pending(): number {
    return this.#pending.size + this.#waiting.length;
  }

  /** The payload of the reply to one DMA_READ, as it came. `count` is at most the client's limit. */
  readRaw(iova: bigint, count: number): Promise<Uint8Array> {
    return this.#call(COMMAND.DMA_READ, iova, count, undefined, (message) =>
      message.payload().slice(),
    );
  }

  /** One DMA_READ; `take` gets the reply's payload where it stands. */
  read<T>(iova: bigint, count: number, take: (payload: Uint8Array) => T): Promise<T> {
    return this.#call(COMMAND.DMA_READ, iova, count, undefined, (message) =>
      take(message.payload()),
    );
  }

  /** One DMA_WRITE with `data` behind `dataAt` bytes of payload; `data` must not change meanwhile. */
  write(iova: bigint, data: Uint8Array, dataAt: number): Promise<void> {
    return this.#call(COMMAND.DMA_WRITE, iova, data.length, { data, dataAt }, ({ length }) => {
      // The specification's table has a count of 4 bytes, everybody else 8 or nothing at all.
      if (length === 0 || length === 12 || length === DMA_ACCESS.BYTES) return;
      throw malformed(COMMAND.DMA_WRITE, `its payload has ${length} bytes`);
    });
  }

  /** Takes a reply. False where nobody waits for it. */
  take(message: Message): boolean {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) {
      this.#ids.returned(message.id);
      return false;
    }
    this.#drop(message.id, pending);
    if (pending.command === message.command) pending.settle(message);
    else pending.reject(malformed(pending.command, `it is to ${commandName(message.command)}`));
    this.#next();
    return true;
  }

  /** Rejects everything, now and from now on. */
  end(reason: string): void {
    this.#ended ??= reason;
    for (const [id, pending] of this.#pending) {
      this.#drop(id, pending);
      pending.reject(this.#endedError(pending));
    }
    for (const call of this.#waiting.splice(0)) call.reject(this.#endedError(call));
  }

  #call<T>(
    command: number,
    iova: bigint,
    count: number,
    written: { readonly data: Uint8Array; readonly dataAt: number } | undefined,
    read: (message: Message) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const what = `0x${iova.toString(16)}, ${count} bytes`;
      this.#waiting.push({
        command,
        what,
        bytes: DMA_ACCESS.BYTES + (written?.data.length ?? 0),
        dataBytes: count,
        write: (out) => {
          writeDmaAccess(out.view, out.at, iova, count);
          if (written === undefined) return;
          // Where the data begin early, as QEMU 10.2 wants them, the end is padding.
          out.bytes.fill(
            0,
            out.at + DMA_ACCESS.BYTES + count - 4,
            out.at + DMA_ACCESS.BYTES + count,
          );
          out.bytes.set(written.data, out.at + written.dataAt);
        },
        settle: (message) => {
          try {
            if (message.isError) throw answeredError(message, what);
            resolve(read(message));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        },
        reject,
      });
      this.#next();
    });
  }

  #next(): void {
    for (;;) {
      const call = this.#waiting[0];
      if (call === undefined) return;
      if (this.#ended !== undefined || this.#connection === undefined) {
        this.#waiting.shift();
        call.reject(this.#endedError(call));
        continue;
      }
      const full = this.#bytes + call.dataBytes > MAX_IN_FLIGHT_BYTES;
      if (this.#pending.size > 0 && (full || this.#pending.size >= MAX_IN_FLIGHT)) return;
      this.#waiting.shift();
      this.#send(call, this.#connection);
    }
  }

  #send(call: Call, connection: Connection): void {
    let id: number;
    try {
      id = this.#ids.take(this.#pending);
    } catch (error) {
      if (VfmigError.is(error)) call.reject(error);
      return;
    }
    const timer = this.#clock.after(this.#timeoutMs, () => this.#giveUp(id));
    this.#pending.set(id, { ...call, timer });
    this.#bytes += call.dataBytes;
    this.#out.reserve(call.bytes);
    call.write(this.#out);
    const size = HEADER.BYTES + call.bytes;
    writeHeader(this.#out.view, id, call.command, size, FLAG.TYPE_COMMAND, 0);
    this.#onRequest?.(id, call.command, this.#out.bytes.subarray(HEADER.BYTES, size));
    connection.send(this.#out.bytes, size);
    if (this.#pending.size === 1) this.#onChange();
  }

  #giveUp(id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#drop(id, pending);
    this.#ids.abandon(id);
    const name = commandName(pending.command);
    pending.reject(
      new VfmigError(
        "ERR_VFMIG_VFIO_USER_TIMEOUT",
        `vfio-user: the client did not answer ${name} (${pending.what}) within ${this.#timeoutMs} ms; does it take DMA messages?`,
        { layer: "vfio-user", details: { command: name, limitMs: this.#timeoutMs } },
      ),
    );
    this.#next();
    this.#onChange();
  }

  #drop(id: number, pending: Pending): void {
    pending.timer.cancel();
    this.#pending.delete(id);
    this.#bytes -= pending.dataBytes;
  }

  #endedError({ command, what }: Call): VfmigError {
    const name = commandName(command);
    return new VfmigError(
      "ERR_VFMIG_VFIO_USER_CLOSED",
      `vfio-user: ${name} (${what}) gets no answer: ${this.#ended ?? "there is no connection"}`,
      { layer: "vfio-user", details: { command: name } },
    );
  }
}

/** The client's error reply. */
function answeredError(message: Message, what: string): VfmigError {
  const name = commandName(message.command);
  const hint =
    message.errno === ERRNO.ENODEV
      ? "; QEMU says so where bus mastering is off or nothing is mapped"
      : "";
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_REMOTE",
    `vfio-user: the client answered ${name} (${what}) with ${describeErrno(message.errno)}${hint}`,
    { layer: "vfio-user", details: { command: name, errno: message.errno } },
  );
}

/** A reply that makes no sense; the connection goes on, since its borders are known. */
export function malformed(command: number, problem: string): VfmigError {
  const name = commandName(command);
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_PROTOCOL",
    `vfio-user: the client's reply to ${name} makes no sense: ${problem}`,
    { layer: "vfio-user", details: { command: name } },
  );
}
