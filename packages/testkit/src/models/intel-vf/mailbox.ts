import type { Clock, Logger } from "@vfmig/core";
import {
  AQ_CODE,
  AQ_DESCRIPTOR_SIZE,
  AQ_FIELD,
  AQ_FLAG,
  AQ_LARGE_BUFFER,
  AQ_BUFFER_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  ICR0,
  joinAddress,
  readAqDescriptor,
  writeAqDescriptor,
  type AqDescriptor,
  type AqRegisters,
} from "@vfmig/iavf";
import type { Dma } from "./dma.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Registers } from "./registers.ts";

/** Descriptors that one turn of the event loop handles. */
const BUDGET = 32;

/** Messages that wait for a free receive descriptor; a PF's own send queue is no longer either. */
const WAITING_MAX = 128;

/** Where requests go. */
export interface RequestSink {
  /** False while the PF can take no more: the request stays in the ring. */
  readonly ready: boolean;
  submit(opcode: number, body: Uint8Array): void;
}

interface Message {
  readonly opcode: number;
  readonly status: number;
  readonly body: Uint8Array;
}

interface MailboxParts {
  readonly registers: Registers;
  readonly interrupts: Interrupts;
  readonly dma: Dma;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Low bits of the receive ring's base that are no address. */
  readonly arqBaseFieldMask: number;
}

/** The two admin queues of a VF: the firmware that takes requests and brings messages. */
export class Mailbox {
  readonly #parts: MailboxParts;
  readonly #scratch: Uint8Array = new Uint8Array(AQ_DESCRIPTOR_SIZE);
  readonly #view: DataView = new DataView(this.#scratch.buffer);
  #waiting: Message[] = [];
  #sink: RequestSink | undefined;
  #scheduled = false;
  #open = true;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
    const kick = { written: () => this.kick() };
    for (const ring of [ATQ_REGISTERS, ARQ_REGISTERS]) {
      parts.registers.hook(ring.tail, kick);
      parts.registers.hook(ring.len, kick);
    }
  }

  connect(sink: RequestSink): void {
    this.#sink = sink;
  }

  /** False while the function is in reset: both rings stand still. */
  set open(open: boolean) {
    this.#open = open;
    if (open) this.kick();
  }

  /** Looks at both rings in a later turn of the event loop. */
  kick(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.soon(() => {
      this.#scheduled = false;
      this.#takeRequests();
      this.#deliver();
    });
  }

  /** The PF's message to the VF; waits where no receive descriptor is free. */
  send(opcode: number, status: number, body: Uint8Array): void {
    if (!this.#enabled(ARQ_REGISTERS)) {
      this.#parts.logger.debug("message to a VF whose receive queue is off is lost", { opcode });
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) {
      this.#parts.logger.warn("VF takes no messages; one more is lost", { opcode });
      return;
    }
    this.#waiting.push({ opcode, status, body });
    this.#deliver();
  }

  /** What waited for a receive descriptor is gone. */
  drop(): void {
    this.#waiting = [];
  }

  /** Lengths, and so ENABLE, are cleared. */
  clearLengths(): void {
    this.#parts.registers.set(ATQ_REGISTERS.len, 0);
    this.#parts.registers.set(ARQ_REGISTERS.len, 0);
  }

  #takeRequests(): void {
    const { registers } = this.#parts;
    for (let count = 0; this.#running(ATQ_REGISTERS); count++) {
      const head = registers.get(ATQ_REGISTERS.head);
      const length = registers.get(ATQ_REGISTERS.len) & AQ_LENGTH.LEN_MASK;
      if (head === registers.get(ATQ_REGISTERS.tail) || this.#sink?.ready !== true) return;
      if (count === BUDGET) return this.kick();
      if (!this.#indexesFit(ATQ_REGISTERS, length) || !this.#takeOne(head)) {
        return this.#fail(ATQ_REGISTERS);
      }
      registers.set(ATQ_REGISTERS.head, (head + 1) % length);
    }
  }

  /** Handles the descriptor at `head`; false where memory fails. */
  #takeOne(head: number): boolean {
    const { dma } = this.#parts;
    const place = this.#base(ATQ_REGISTERS) + head * AQ_DESCRIPTOR_SIZE;
    if (!dma.read(place, this.#scratch)) return false;
    const descriptor = readAqDescriptor(this.#view, 0);
    const body = this.#body(descriptor);
    if (body === undefined) return false;
    const code = this.#execute(descriptor, body);
    const failed = code === AQ_CODE.OK ? 0 : AQ_FLAG.ERR;
    this.#view.setUint16(AQ_FIELD.RETURN_VALUE, code, true);
    this.#view.setUint16(
      AQ_FIELD.FLAGS,
      descriptor.flags | AQ_FLAG.DD | AQ_FLAG.CMP | failed,
      true,
    );
    if (!dma.write(place, this.#scratch)) return false;
    const quiet = (descriptor.flags & AQ_FLAG.SI) !== 0;
    if (!quiet || (failed !== 0 && (descriptor.flags & AQ_FLAG.EI) !== 0)) {
      this.#parts.interrupts.zeroEvent(ICR0.ADMINQ);
    }
    return true;
  }

  /** The request's buffer; empty where it has none, undefined where it lies outside mapped memory. */
  #body({ flags, dataLength, address }: AqDescriptor): Uint8Array | undefined {
    if ((flags & AQ_FLAG.BUF) === 0 || dataLength > AQ_BUFFER_SIZE) return new Uint8Array(0);
    const body = new Uint8Array(dataLength);
    return this.#parts.dma.read(address, body) ? body : undefined;
  }

  #execute({ flags, opcode, dataLength, cookieHigh }: AqDescriptor, body: Uint8Array): number {
    if (opcode === AQ_OPCODE.QUEUE_SHUTDOWN) return AQ_CODE.OK;
    if (opcode !== AQ_OPCODE.SEND_TO_PF) return AQ_CODE.ESRCH;
    const wanted =
      dataLength === 0
        ? 0
        : AQ_FLAG.BUF | AQ_FLAG.RD | (dataLength > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0);
    if (dataLength > AQ_BUFFER_SIZE || (flags & wanted) !== wanted) return AQ_CODE.EINVAL;
    this.#sink?.submit(cookieHigh, body);
    return AQ_CODE.OK;
  }

  #deliver(): void {
    const { registers } = this.#parts;
    while (this.#waiting.length > 0 && this.#running(ARQ_REGISTERS)) {
      const head = registers.get(ARQ_REGISTERS.head);
      const length = registers.get(ARQ_REGISTERS.len);
      if (head === registers.get(ARQ_REGISTERS.tail)) {
        registers.set(ARQ_REGISTERS.len, (length | AQ_LENGTH.OVFL) >>> 0);
        return;
      }
      const entries = length & AQ_LENGTH.LEN_MASK;
      const message = this.#waiting[0]!;
      if (!this.#indexesFit(ARQ_REGISTERS, entries) || !this.#deliverOne(head, message)) {
        return this.#fail(ARQ_REGISTERS);
      }
      this.#waiting.shift();
      registers.set(ARQ_REGISTERS.head, (head + 1) % entries);
      this.#parts.interrupts.zeroEvent(ICR0.ADMINQ);
    }
  }

  /** Fills the descriptor at `head`; a body longer than the posted buffer is cut. */
  #deliverOne(head: number, { opcode, status, body }: Message): boolean {
    const { dma } = this.#parts;
    const place = this.#base(ARQ_REGISTERS) + head * AQ_DESCRIPTOR_SIZE;
    if (!dma.read(place, this.#scratch)) return false;
    const posted = readAqDescriptor(this.#view, 0);
    const room = (posted.flags & AQ_FLAG.BUF) === 0 ? 0 : posted.dataLength;
    const used = body.subarray(0, Math.min(room, body.length));
    if (used.length > 0 && !dma.write(posted.address, used)) return false;
    const large = used.length > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0;
    writeAqDescriptor(this.#view, 0, {
      ...posted,
      flags: AQ_FLAG.DD | AQ_FLAG.CMP | (used.length > 0 ? AQ_FLAG.BUF : 0) | large,
      opcode: AQ_OPCODE.SEND_TO_VF,
      dataLength: used.length,
      returnValue: AQ_CODE.OK,
      cookieHigh: opcode,
      cookieLow: status,
    });
    return dma.write(place, this.#scratch);
  }

  #enabled(ring: AqRegisters): boolean {
    return (this.#parts.registers.get(ring.len) & AQ_LENGTH.ENABLE) !== 0;
  }

  /** A critical error stops a ring until the driver writes its length without that bit. */
  #running(ring: AqRegisters): boolean {
    const length = this.#parts.registers.get(ring.len);
    const alive = (length & AQ_LENGTH.CRIT) === 0;
    return this.#open && this.#parts.dma.master && this.#enabled(ring) && alive;
  }

  #base(ring: AqRegisters): number {
    const { registers } = this.#parts;
    const field = ring === ARQ_REGISTERS ? this.#parts.arqBaseFieldMask : 0;
    return joinAddress((registers.get(ring.bal) & ~field) >>> 0, registers.get(ring.bah));
  }

  #indexesFit(ring: AqRegisters, length: number): boolean {
    const { registers } = this.#parts;
    return registers.get(ring.head) < length && registers.get(ring.tail) < length;
  }

  #fail(ring: AqRegisters): void {
    const { registers, logger } = this.#parts;
    registers.set(ring.len, (registers.get(ring.len) | AQ_LENGTH.CRIT) >>> 0);
    logger.warn("admin queue stops: bad index, or memory that is not mapped", {
      ring: ring === ATQ_REGISTERS ? "send" : "receive",
      head: registers.get(ring.head),
      tail: registers.get(ring.tail),
      base: this.#base(ring),
    });
  }
}
