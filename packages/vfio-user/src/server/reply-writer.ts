import { FLAG, HEADER, writeHeader } from "../codec/header.ts";
import { REGION_ACCESS } from "../codec/region-access.ts";
import type { Connection } from "../transport/connection.ts";
import type { Tracer } from "../trace/tracer.ts";
import type { Message } from "../transport/message.ts";

/** What a reply needs of its request. */
export interface Ticket {
  readonly id: number;
  readonly command: number;
  readonly noReply: boolean;
}

export function ticketOf(message: Message): Ticket {
  return { id: message.id, command: message.command, noReply: message.noReply };
}

const INITIAL_BYTES = 8192;
/** Region data in a reply begins here. */
const REGION_DATA = HEADER.BYTES + REGION_ACCESS.DATA;
/** Accesses up to this many bytes use a view that is there already. */
const SMALL = 8;

/** Builds replies in one buffer that is reused, and sends each with its header in one call. */
export class ReplyWriter {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the payload begins in `bytes`. */
  readonly at: number = HEADER.BYTES;
  #small: Uint8Array[] = [];
  #connection: Connection | undefined;
  readonly #tracer: Tracer | undefined;

  constructor(tracer?: Tracer) {
    this.#tracer = tracer;
    this.#allocate(INITIAL_BYTES);
  }

  /** Sends to `connection` from now on. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  /** Makes room for a payload. */
  reserve(payloadBytes: number): void {
    const need = HEADER.BYTES + payloadBytes;
    if (need > this.bytes.length) this.#allocate(Math.max(need, this.bytes.length * 2));
  }

  /** Where the data of a region read go; no allocation up to 8 bytes. */
  regionData(count: number): Uint8Array {
    const small = count <= SMALL ? this.#small[count] : undefined;
    if (small !== undefined) return small;
    this.reserve(REGION_ACCESS.BYTES + count);
    return this.bytes.subarray(REGION_DATA, REGION_DATA + count);
  }

  /** Sends the reply whose payload of `payloadBytes` bytes stands in the buffer. */
  send(ticket: Ticket, payloadBytes: number, fds?: readonly number[]): void {
    if (ticket.noReply) return;
    const size = HEADER.BYTES + payloadBytes;
    writeHeader(this.view, ticket.id, ticket.command, size, FLAG.TYPE_REPLY, 0);
    if (this.#tracer !== undefined) {
      const payload = this.bytes.subarray(HEADER.BYTES, size);
      this.#tracer.answered(ticket.id, ticket.command, payload, fds ?? []);
    }
    this.#connection?.send(this.bytes, size, fds);
  }

  /** An error reply is its header. */
  sendError(ticket: Ticket, errno: number): void {
    if (ticket.noReply) return;
    const flags = FLAG.TYPE_REPLY | FLAG.ERROR;
    writeHeader(this.view, ticket.id, ticket.command, HEADER.BYTES, flags, errno);
    this.#tracer?.refused(ticket.id, ticket.command, errno);
    this.#connection?.send(this.bytes, HEADER.BYTES);
  }

  #allocate(size: number): void {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.#small = [];
    for (let count = 0; count <= SMALL; count += 1) {
      this.#small.push(this.bytes.subarray(REGION_DATA, REGION_DATA + count));
    }
  }
}
