import type { Logger } from "@vfmig/core";
import { COMMAND, commandName } from "../codec/commands.ts";
import { DMA_ACCESS, writeDmaAccess } from "../codec/dma-access.ts";
import { errnoOf, refusal } from "../codec/errno.ts";
import { exactPayload, needPayload, readU64 } from "../codec/wire.ts";
import { ReplyWriter, ticketOf, type Ticket } from "../server/reply-writer.ts";
import type { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";
import type { GuestMappings } from "./guest-mappings.ts";

/** Requests of a server that wait for memory elsewhere at one time. */
const MAX_WAITING = 64;
/** Answers that a server does not take, in bytes, before the connection is ended. */
const MAX_UNSENT = 67_108_864;

/** Answers what a server asks of its client, DMA_READ and DMA_WRITE, over one connection. */
export class DmaAnswers {
  readonly #connection: Connection;
  readonly #logger: Logger;
  readonly #maxData: number;
  readonly #replies = new ReplyWriter();
  #mappings: GuestMappings | undefined;
  #waiting = 0;

  /** `maxData`: most data in one message, in bytes, as this side has said. */
  constructor(connection: Connection, maxData: number, logger: Logger) {
    this.#connection = connection;
    this.#logger = logger;
    this.#maxData = maxData;
    this.#replies.attach(connection);
  }

  /** Answers from these from now on. */
  use(mappings: GuestMappings): void {
    this.#mappings = mappings;
  }

  serve(message: Message): void {
    try {
      if (message.command === COMMAND.DMA_READ) this.#read(message);
      else if (message.command === COMMAND.DMA_WRITE) this.#write(message);
      else throw refusal("EOPNOTSUPP", `${commandName(message.command)} is none of a server's`);
    } catch (error) {
      this.#fail(ticketOf(message), error);
    }
    if (this.#connection.unsentBytes > MAX_UNSENT) {
      this.#connection.protocolError("the server asks for memory and takes no answers");
    }
  }

  #read(message: Message): void {
    exactPayload("VFIO_USER_DMA_READ", message.length, DMA_ACCESS.BYTES);
    const ticket = ticketOf(message);
    const { iova, count, mappings } = this.#place(message);
    const writer = this.#writerFor(mappings);
    writer.reserve(DMA_ACCESS.BYTES + count);
    const from = writer.at + DMA_ACCESS.DATA;
    const pending = mappings.memory.read(iova, writer.bytes.subarray(from, from + count));
    this.#answerAfter(ticket, pending, () => answer(writer, ticket, iova, count, count));
  }

  #write(message: Message): void {
    needPayload("VFIO_USER_DMA_WRITE", message.length, DMA_ACCESS.BYTES);
    const ticket = ticketOf(message);
    const { iova, count, mappings } = this.#place(message);
    exactPayload("VFIO_USER_DMA_WRITE", message.length, DMA_ACCESS.BYTES + count);
    const from = message.at + DMA_ACCESS.DATA;
    // What waits must not stand where the next message comes.
    const data = mappings.mayWait
      ? message.bytes.slice(from, from + count)
      : message.bytes.subarray(from, from + count);
    const pending = mappings.memory.write(iova, data);
    this.#answerAfter(ticket, pending, () => answer(this.#replies, ticket, iova, count, 0));
  }

  /** A buffer that nobody else fills before the answer is sent. */
  #writerFor(mappings: GuestMappings): ReplyWriter {
    if (!mappings.mayWait) return this.#replies;
    const writer = new ReplyWriter();
    writer.attach(this.#connection);
    return writer;
  }

  #place(message: Message): {
    readonly iova: number;
    readonly count: number;
    readonly mappings: GuestMappings;
  } {
    const iova = readU64(message.view, message.at + DMA_ACCESS.ADDRESS);
    const count = readU64(message.view, message.at + DMA_ACCESS.COUNT);
    const name = commandName(message.command);
    if (count > this.#maxData) {
      throw refusal("E2BIG", `${name} of ${count} bytes; the limit is ${this.#maxData}`, { count });
    }
    if (this.#mappings === undefined) throw refusal("EFAULT", `${name}: nothing is mapped yet`);
    if (this.#waiting >= MAX_WAITING) throw refusal("EBUSY", `${name}: too many wait already`);
    return { iova, count, mappings: this.#mappings };
  }

  #answerAfter(ticket: Ticket, pending: void | Promise<void>, send: () => void): void {
    if (pending === undefined) return send();
    this.#waiting += 1;
    pending
      .then(send, (error: unknown) => this.#fail(ticket, error))
      .finally(() => (this.#waiting -= 1));
  }

  #fail(ticket: Ticket, error: unknown): void {
    const errno = errnoOf(error);
    const text = error instanceof Error ? error.message : String(error);
    this.#logger.warn(`vfio-user: ${commandName(ticket.command)} of the server refused: ${text}`, {
      errno,
    });
    this.#replies.sendError(ticket, errno);
  }
}

function answer(
  writer: ReplyWriter,
  ticket: Ticket,
  iova: number,
  count: number,
  dataBytes: number,
): void {
  writeDmaAccess(writer.view, writer.at, BigInt(iova), count);
  writer.send(ticket, DMA_ACCESS.BYTES + dataBytes);
}
