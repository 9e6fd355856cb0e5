import type { DirtySink, GuestMemory } from "@vfmig/core";
import {
  AQ_BUFFER_SIZE,
  AQ_CODE,
  AQ_DESCRIPTOR_SIZE,
  AQ_FIELD,
  AQ_FLAG,
  AQ_LARGE_BUFFER,
  AQ_OPCODE,
  type AqDescriptor,
  readAqDescriptor,
  writeAqDescriptor,
} from "../admin-queue.ts";
import { ARQ_REGISTERS, ATQ_REGISTERS } from "../registers.ts";
import type { MailboxOptions } from "./options.ts";
import type { ReceivedMessage } from "./private-mailbox.ts";
import { VirtualRing, type VirtualRingState } from "./virtual-ring.ts";

/** What the guest put into its send ring, with its body copied out once. */
export interface GuestSend {
  readonly opcode: number;
  /** The virtchnl opcode. */
  readonly message: number;
  readonly body: Uint8Array;
}

export interface VirtualMailboxState {
  readonly send: VirtualRingState;
  readonly receive: VirtualRingState;
}

const NO_BODY = new Uint8Array(0);

/**
 * The mailbox as the guest sees it: virtual registers, and rings in guest memory that this class
 * reads and writes in the device's stead. Every address and length is the guest's, so each is checked.
 */
export class VirtualMailbox {
  readonly send: VirtualRing = new VirtualRing(ATQ_REGISTERS);
  readonly receive: VirtualRing;
  readonly #memory: GuestMemory;
  readonly #dirty: DirtySink;
  readonly #delivered: MailboxOptions["delivered"];
  /** The next descriptor to be taken; those from the head to here wait for the device. */
  #taken = 0;

  constructor(options: Pick<MailboxOptions, "memory" | "dirty" | "arqBaseField" | "delivered">) {
    this.receive = new VirtualRing(ARQ_REGISTERS, options.arqBaseField);
    this.#memory = options.memory;
    this.#dirty = options.dirty;
    this.#delivered = options.delivered;
  }

  read(offset: number): number | undefined {
    return this.send.read(offset) ?? this.receive.read(offset);
  }

  /** Which register took the value; undefined where `offset` belongs to neither ring. */
  write(offset: number, value: number): "send" | "receive" | undefined {
    const register = this.send.write(offset, value);
    if (register !== undefined) {
      if (register === "head" || register === "len") {
        this.#taken = this.send.head;
      }
      return "send";
    }
    return this.receive.write(offset, value) === undefined ? undefined : "receive";
  }

  /** The next descriptor to be taken. */
  get next(): number {
    return this.#taken;
  }

  /** Counts `sends` descriptors from the head as taken already; for a restored ring. */
  skip(sends: number): void {
    const { entries, head, tail } = this.send;
    if (entries > 0) {
      this.#taken = (head + Math.min(sends, (tail - head + entries) % entries)) % entries;
    }
  }

  /** Descriptors that were taken and are not completed. */
  get waiting(): number {
    const { entries, head } = this.send;
    return entries === 0 ? 0 : (this.#taken - head + entries) % entries;
  }

  /** The next message of the guest; undefined where there is none. */
  take(): GuestSend | undefined {
    const ring = this.send;
    if (!ring.usable || this.#taken === ring.tail || this.#taken >= ring.entries) {
      return undefined;
    }
    const at = ring.base + this.#taken * AQ_DESCRIPTOR_SIZE;
    const span = this.#memory.find(at, AQ_DESCRIPTOR_SIZE, "read");
    if (span === undefined) {
      ring.fail();
      return undefined;
    }
    const descriptor = readAqDescriptor(span.data, at - span.base);
    this.#taken = ring.after(this.#taken);
    const body = this.#body(descriptor);
    return {
      // A body that cannot be read makes the whole descriptor one that no one can serve.
      opcode: body === undefined ? -1 : descriptor.opcode,
      message: descriptor.cookieHigh,
      body: body ?? NO_BODY,
    };
  }

  #body({ flags, dataLength, address, opcode }: AqDescriptor): Uint8Array | undefined {
    if ((flags & AQ_FLAG.BUF) === 0 || dataLength === 0 || opcode !== AQ_OPCODE.SEND_TO_PF) {
      return NO_BODY;
    }
    if (dataLength > AQ_BUFFER_SIZE || !Number.isSafeInteger(address)) {
      return undefined;
    }
    const body = new Uint8Array(dataLength);
    try {
      this.#memory.read(address, body);
    } catch {
      return undefined;
    }
    return body;
  }

  /** The oldest descriptor that was taken is done: tells the guest in its ring. */
  completeSend(extraFlags: number, code: number): void {
    const ring = this.send;
    if (this.waiting === 0) {
      return;
    }
    const at = ring.base + ring.head * AQ_DESCRIPTOR_SIZE;
    const span = this.#memory.find(at, AQ_DESCRIPTOR_SIZE, "write");
    if (span === undefined) {
      ring.fail();
      return;
    }
    const offset = at - span.base;
    const flags = span.data.getUint16(offset + AQ_FIELD.FLAGS, true);
    const failed = code === AQ_CODE.OK ? 0 : AQ_FLAG.ERR;
    span.data.setUint16(offset + AQ_FIELD.RETURN_VALUE, code & 0xff, true);
    span.data.setUint16(
      offset + AQ_FIELD.FLAGS,
      flags | AQ_FLAG.DD | AQ_FLAG.CMP | failed | (extraFlags & AQ_FLAG.ERR),
      true,
    );
    this.#dirty.set(at, AQ_DESCRIPTOR_SIZE);
    ring.head = ring.after(ring.head);
  }

  /** True where a message for the guest would find a posted descriptor. */
  get listens(): boolean {
    return this.receive.usable && this.receive.head !== this.receive.tail;
  }

  /** Writes a message into the guest's receive ring; false where it has no room. */
  deliver(message: ReceivedMessage): boolean {
    const ring = this.receive;
    if (!this.listens) {
      return false;
    }
    const at = ring.base + ring.head * AQ_DESCRIPTOR_SIZE;
    const span = this.#memory.find(at, AQ_DESCRIPTOR_SIZE, "write");
    if (span === undefined) {
      ring.fail();
      return false;
    }
    const posted = readAqDescriptor(span.data, at - span.base);
    const body = message.body.subarray(0, Math.min(message.body.length, posted.dataLength));
    if (!this.#writeBody(posted.address, body)) {
      ring.fail();
      return false;
    }
    writeAqDescriptor(span.data, at - span.base, {
      flags:
        AQ_FLAG.DD |
        AQ_FLAG.CMP |
        (body.length > 0 ? AQ_FLAG.BUF : 0) |
        (body.length > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0),
      opcode: AQ_OPCODE.SEND_TO_VF,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: message.opcode,
      cookieLow: message.status,
      param0: 0,
      param1: 0,
      address: posted.address,
    });
    this.#dirty.set(at, AQ_DESCRIPTOR_SIZE);
    ring.head = ring.after(ring.head);
    this.#delivered?.(message.opcode, posted.address, body.length);
    return true;
  }

  #writeBody(address: number, body: Uint8Array): boolean {
    if (body.length === 0) {
      return true;
    }
    if (!Number.isSafeInteger(address)) {
      return false;
    }
    try {
      this.#memory.write(address, body);
    } catch {
      return false;
    }
    this.#dirty.set(address, body.length);
    return true;
  }

  reset(): void {
    this.send.reset();
    this.receive.reset();
    this.#taken = 0;
  }

  save(): VirtualMailboxState {
    return { send: this.send.save(), receive: this.receive.save() };
  }

  load(state: VirtualMailboxState): void {
    this.send.load(state.send);
    this.receive.load(state.receive);
    this.#taken = this.send.head;
  }
}
