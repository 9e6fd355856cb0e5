import type { DmaBuffer } from "@vfmig/core";
import {
  AQ_BUFFER_SIZE,
  AQ_DESCRIPTOR_SIZE,
  AQ_FLAG,
  AQ_OPCODE,
  postedArqDescriptor,
  readAqDescriptor,
  sendFlags,
  splitAddress,
  writeAqDescriptor,
} from "../admin-queue.ts";
import {
  AQ_INDEX_MASK,
  AQ_LENGTH,
  type AqRegisters,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
} from "../registers.ts";
import type { RegisterAccess } from "@vfmig/core/toolkit";

/** Entries of each private ring, as Linux iavf has them. */
const ENTRIES = 32;
const RING_BYTES = 4096;

/** A message from the PF. */
export interface ReceivedMessage {
  readonly opcode: number;
  readonly status: number;
  readonly body: Uint8Array;
}

/** The fate of one send. */
export interface SendResult {
  readonly flags: number;
  readonly returnValue: number;
}

/**
 * The device's real mailbox, in memory that the guest did not give. What stands in that memory is
 * hostile: lengths and indexes read from it are bounded.
 */
export class PrivateMailbox {
  readonly #registers: RegisterAccess;
  readonly #memory: DmaBuffer;
  readonly #bytes: Uint8Array;
  readonly #data: DataView;
  #sendNext = 0;
  #sendDone = 0;
  #receiveNext = 0;
  #programmed = false;

  constructor(registers: RegisterAccess, allocate: (bytes: number) => DmaBuffer) {
    this.#registers = registers;
    this.#memory = allocate(2 * RING_BYTES + 2 * ENTRIES * AQ_BUFFER_SIZE);
    this.#bytes = this.#memory.bytes;
    this.#data = this.#memory.data;
  }

  /** True while the device still has the rings that {@link program} gave it. */
  get alive(): boolean {
    if (!this.#programmed) {
      return false;
    }
    const length = this.#registers.read(ARQ_REGISTERS.len);
    return length !== 0xffff_ffff && (length & AQ_LENGTH.ENABLE) !== 0;
  }

  /** True once the rings were given to the device and nobody has taken them back. */
  get programmed(): boolean {
    return this.#programmed;
  }

  /** Sends that still fit. */
  get room(): number {
    return ENTRIES - 1 - ((this.#sendNext - this.#sendDone + ENTRIES) % ENTRIES);
  }

  /** Gives both rings to the device, empty. */
  program(): void {
    this.#sendNext = 0;
    this.#sendDone = 0;
    this.#receiveNext = 0;
    this.#bytes.fill(0, 0, 2 * RING_BYTES);
    this.#programRing(ATQ_REGISTERS, this.#memory.iova);
    for (let index = 0; index < ENTRIES; index++) {
      this.#post(index);
    }
    this.#programRing(ARQ_REGISTERS, this.#memory.iova + RING_BYTES);
    this.#registers.write(ARQ_REGISTERS.tail, ENTRIES - 1);
    this.#programmed = true;
  }

  #programRing(ring: AqRegisters, iova: number): void {
    const base = splitAddress(iova);
    this.#registers.write(ring.head, 0);
    this.#registers.write(ring.tail, 0);
    this.#registers.write(ring.len, (ENTRIES | AQ_LENGTH.ENABLE) >>> 0);
    this.#registers.write(ring.bal, base.low);
    this.#registers.write(ring.bah, base.high);
  }

  /** The device was reset: it has forgotten the rings. */
  forget(): void {
    this.#programmed = false;
    this.#sendDone = this.#sendNext;
  }

  #sendBuffer(index: number): number {
    return 2 * RING_BYTES + index * AQ_BUFFER_SIZE;
  }

  #receiveBuffer(index: number): number {
    return 2 * RING_BYTES + (ENTRIES + index) * AQ_BUFFER_SIZE;
  }

  #post(index: number): void {
    const address = this.#memory.iova + this.#receiveBuffer(index);
    writeAqDescriptor(
      this.#data,
      RING_BYTES + index * AQ_DESCRIPTOR_SIZE,
      postedArqDescriptor(address, AQ_BUFFER_SIZE),
    );
  }

  /** Sends one virtchnl request; there must be {@link room}. */
  send(opcode: number, body: Uint8Array): void {
    const index = this.#sendNext;
    const buffer = this.#sendBuffer(index);
    this.#bytes.set(body, buffer);
    writeAqDescriptor(this.#data, index * AQ_DESCRIPTOR_SIZE, {
      flags: sendFlags(body.length),
      opcode: AQ_OPCODE.SEND_TO_PF,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: opcode,
      cookieLow: 0,
      param0: 0,
      param1: 0,
      address: body.length === 0 ? 0 : this.#memory.iova + buffer,
    });
    this.#sendNext = (index + 1) % ENTRIES;
    this.#registers.write(ATQ_REGISTERS.tail, this.#sendNext);
  }

  /** The next send that the device has taken; undefined where there is none. */
  nextSent(): SendResult | undefined {
    if (this.#sendDone === this.#sendNext) {
      return undefined;
    }
    const head = this.#registers.read(ATQ_REGISTERS.head) & AQ_INDEX_MASK;
    if (head >= ENTRIES || head === this.#sendDone) {
      return undefined;
    }
    const { flags, returnValue } = readAqDescriptor(
      this.#data,
      this.#sendDone * AQ_DESCRIPTOR_SIZE,
    );
    this.#sendDone = (this.#sendDone + 1) % ENTRIES;
    return { flags, returnValue };
  }

  /**
   * As {@link nextSent} after a reset of the device, which has cleared its head: what the device had taken
   * before stands as done in its ring.
   */
  nextWrittenBack(): SendResult | undefined {
    if (this.#sendDone === this.#sendNext) {
      return undefined;
    }
    const at = this.#sendDone * AQ_DESCRIPTOR_SIZE;
    const { flags, returnValue } = readAqDescriptor(this.#data, at);
    if ((flags & AQ_FLAG.DD) === 0) {
      return undefined;
    }
    this.#sendDone = (this.#sendDone + 1) % ENTRIES;
    return { flags, returnValue };
  }

  /** The next message that the PF sent; undefined where there is none. Its slot is posted again. */
  nextReceived(): ReceivedMessage | undefined {
    if (!this.#programmed) {
      return undefined;
    }
    const head = this.#registers.read(ARQ_REGISTERS.head) & AQ_INDEX_MASK;
    const index = this.#receiveNext;
    if (head >= ENTRIES || head === index) {
      return undefined;
    }
    const descriptor = readAqDescriptor(this.#data, RING_BYTES + index * AQ_DESCRIPTOR_SIZE);
    const buffer = this.#receiveBuffer(index);
    const length = Math.min(descriptor.dataLength, AQ_BUFFER_SIZE);
    const body = this.#bytes.slice(buffer, buffer + length);
    this.#post(index);
    this.#receiveNext = (index + 1) % ENTRIES;
    this.#registers.write(ARQ_REGISTERS.tail, index);
    return { opcode: descriptor.cookieHigh, status: descriptor.cookieLow, body };
  }

  /** Takes the rings from the device, so that it no longer writes to this memory. */
  close(): void {
    if (this.#programmed && this.alive) {
      for (const ring of [ATQ_REGISTERS, ARQ_REGISTERS]) {
        this.#registers.write(ring.len, 0);
      }
    }
    this.#programmed = false;
    this.#memory[Symbol.dispose]();
  }
}
