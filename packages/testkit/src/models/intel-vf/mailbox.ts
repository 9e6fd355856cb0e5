import type { Clock, Logger } from "@vfmig/core";
import {
  AQ_CODE,
  AQ_DESCRIPTOR_SIZE,
  AQ_FLAG,
  AQ_BUFFER_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  ICR0,
  joinAddress,
  readAqDescriptor,
  type AqDescriptor,
  type AqRegisters,
} from "@vfmig/iavf";
import { inOrder, type Dma } from "./dma.ts";
import type { Interrupts } from "./interrupts.ts";
import { type Message, reportMessage, reportRequest } from "./mailbox-descriptors.ts";
import type { Registers } from "./registers.ts";

/** Descriptors that one turn of the event loop handles. */
const BUDGET = 32;

/** Messages that wait for a free receive descriptor; a PF's own send queue is no longer either. */
const WAITING_MAX = 128;

const NO_BODY: Uint8Array = new Uint8Array(0);

/** Where requests go. */
export interface RequestSink {
  /** False while the PF can take no more: the request stays in the ring. */
  readonly ready: boolean;
  submit(opcode: number, body: Uint8Array): void;
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

/** One of the two rings, with the descriptor that is worked on. */
class Ring {
  readonly registers: AqRegisters;
  readonly scratch: Uint8Array = new Uint8Array(AQ_DESCRIPTOR_SIZE);
  readonly view: DataView = new DataView(this.scratch.buffer);
  /** Messages are on their way for the descriptor at the head. */
  waits = false;
  /** Another number after each reset and each new length: what was begun before is void. */
  life = 0;

  constructor(registers: AqRegisters) {
    this.registers = registers;
  }
}

/** The two admin queues of a VF: the firmware that takes requests and brings messages. */
export class Mailbox {
  readonly #parts: MailboxParts;
  readonly #send: Ring = new Ring(ATQ_REGISTERS);
  readonly #receive: Ring = new Ring(ARQ_REGISTERS);
  #waiting: Message[] = [];
  #sink: RequestSink | undefined;
  #scheduled = false;
  #open = true;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
    for (const ring of [this.#send, this.#receive]) {
      parts.registers.hook(ring.registers.tail, { written: () => this.kick() });
      parts.registers.hook(ring.registers.len, {
        written: () => {
          ring.life++;
          this.kick();
        },
      });
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
    this.interrupt();
  }

  /** Descriptors that wait for messages are left as they are, and taken anew when the rings go on. */
  interrupt(): void {
    this.#send.life++;
    this.#receive.life++;
  }

  /** Lengths, and so ENABLE, are cleared. */
  clearLengths(): void {
    this.#parts.registers.set(ATQ_REGISTERS.len, 0);
    this.#parts.registers.set(ARQ_REGISTERS.len, 0);
  }

  #takeRequests(): void {
    const { registers } = this.#parts;
    for (let count = 0; this.#running(this.#send); count++) {
      const head = registers.get(ATQ_REGISTERS.head);
      const length = registers.get(ATQ_REGISTERS.len) & AQ_LENGTH.LEN_MASK;
      if (head === registers.get(ATQ_REGISTERS.tail) || this.#sink?.ready !== true) return;
      if (count === BUDGET) return this.kick();
      if (!this.#indexesFit(ATQ_REGISTERS, length)) return this.#fail(ATQ_REGISTERS);
      const taken = this.#takeOne(head);
      const next = (): void => registers.set(ATQ_REGISTERS.head, (head + 1) % length);
      if (!this.#settle(this.#send, taken, next)) return;
    }
  }

  /** Goes on with `ring` once its descriptor was handled; true where that is at once. */
  #settle(ring: Ring, handled: boolean | Promise<boolean>, next: () => void): boolean {
    if (typeof handled === "boolean") {
      if (handled) next();
      else this.#fail(ring.registers);
      return handled;
    }
    void this.#settleLater(ring, handled, next);
    return false;
  }

  /** Unless the ring was interrupted meanwhile. */
  async #settleLater(ring: Ring, handled: Promise<boolean>, next: () => void): Promise<void> {
    ring.waits = true;
    const { life } = ring;
    const done = await handled;
    ring.waits = false;
    if (ring.life === life) this.#settle(ring, done, next);
    this.kick();
  }

  /** Handles the descriptor at `head`; false where memory fails, or where it was interrupted. */
  #takeOne(head: number): boolean | Promise<boolean> {
    const { dma } = this.#parts;
    const { scratch, view, life } = this.#send;
    const place = this.#base(ATQ_REGISTERS) + head * AQ_DESCRIPTOR_SIZE;
    let body = NO_BODY;
    return inOrder([
      () => dma.fetch(place, scratch),
      () => {
        if (this.#send.life !== life) return false;
        const { flags, dataLength, address } = readAqDescriptor(view, 0);
        const some = (flags & AQ_FLAG.BUF) !== 0 && dataLength <= AQ_BUFFER_SIZE;
        body = some ? new Uint8Array(dataLength) : NO_BODY;
        return body.length === 0 || dma.fetch(address, body);
      },
      () => {
        if (this.#send.life !== life) return false;
        reportRequest(view);
        return dma.store(place, scratch);
      },
      () => {
        if (this.#send.life !== life) return false;
        this.#taken(readAqDescriptor(view, 0), body);
        return true;
      },
    ]);
  }

  /** A request stands as done in its ring: now the PF gets it, and the driver its interrupt. */
  #taken({ flags, opcode, returnValue, cookieHigh }: AqDescriptor, body: Uint8Array): void {
    const failed = returnValue !== AQ_CODE.OK;
    if (!failed && opcode === AQ_OPCODE.SEND_TO_PF) this.#sink?.submit(cookieHigh, body);
    const quiet = (flags & AQ_FLAG.SI) !== 0;
    if (!quiet || (failed && (flags & AQ_FLAG.EI) !== 0)) {
      this.#parts.interrupts.zeroEvent(ICR0.ADMINQ);
    }
  }

  #deliver(): void {
    const { registers, interrupts } = this.#parts;
    while (this.#waiting.length > 0 && this.#running(this.#receive)) {
      const head = registers.get(ARQ_REGISTERS.head);
      const length = registers.get(ARQ_REGISTERS.len);
      if (head === registers.get(ARQ_REGISTERS.tail)) {
        registers.set(ARQ_REGISTERS.len, (length | AQ_LENGTH.OVFL) >>> 0);
        return;
      }
      const entries = length & AQ_LENGTH.LEN_MASK;
      if (!this.#indexesFit(ARQ_REGISTERS, entries)) return this.#fail(ARQ_REGISTERS);
      const delivered = this.#deliverOne(head, this.#waiting[0]!);
      const next = (): void => {
        this.#waiting.shift();
        registers.set(ARQ_REGISTERS.head, (head + 1) % entries);
        interrupts.zeroEvent(ICR0.ADMINQ);
      };
      if (!this.#settle(this.#receive, delivered, next)) return;
    }
  }

  /** Fills the descriptor at `head`; a body longer than the posted buffer is cut. */
  #deliverOne(head: number, message: Message): boolean | Promise<boolean> {
    const { dma } = this.#parts;
    const { scratch, view, life } = this.#receive;
    const place = this.#base(ARQ_REGISTERS) + head * AQ_DESCRIPTOR_SIZE;
    let used = NO_BODY;
    return inOrder([
      () => dma.fetch(place, scratch),
      () => {
        if (this.#receive.life !== life) return false;
        const posted = readAqDescriptor(view, 0);
        const room = (posted.flags & AQ_FLAG.BUF) === 0 ? 0 : posted.dataLength;
        used = message.body.subarray(0, Math.min(room, message.body.length));
        return used.length === 0 || dma.store(posted.address, used);
      },
      () => {
        if (this.#receive.life !== life) return false;
        reportMessage(view, message, used.length);
        return dma.store(place, scratch);
      },
    ]);
  }

  #enabled(ring: AqRegisters): boolean {
    return (this.#parts.registers.get(ring.len) & AQ_LENGTH.ENABLE) !== 0;
  }

  /** A critical error stops a ring until the driver writes its length without that bit. */
  #running({ registers, waits }: Ring): boolean {
    const length = this.#parts.registers.get(registers.len);
    const alive = (length & AQ_LENGTH.CRIT) === 0;
    return !waits && this.#open && this.#parts.dma.master && this.#enabled(registers) && alive;
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
