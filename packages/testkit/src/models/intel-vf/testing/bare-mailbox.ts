import {
  AQ_BUFFER_SIZE,
  AQ_DESCRIPTOR_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  type AqRegisters,
  postedArqDescriptor,
  readAqDescriptor,
  sendFlags,
  writeAqDescriptor,
} from "@vfmig/iavf";
import type { Layout } from "./layout.ts";

/** A message from the PF, as the driver finds it in its receive ring. */
export interface PfMessage {
  readonly opcode: number;
  readonly status: number;
  readonly body: Uint8Array;
}

const ENTRIES = 32;

/** BAR0, by its register's offset. */
export interface BareRegisters {
  read(offset: number): number;
  write(offset: number, value: number): void;
}

/** Both admin queues of a driver of the plainest kind; nothing in them is checked. */
export class BareMailbox {
  readonly #registers: BareRegisters;
  readonly #memory: Uint8Array;
  readonly #data: DataView;
  readonly #layout: Layout;
  #sendTail = 0;
  #receiveNext = 0;

  constructor(registers: BareRegisters, memory: Uint8Array, layout: Layout) {
    this.#registers = registers;
    this.#memory = memory;
    this.#data = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#layout = layout;
  }

  /** Sets up both queues in the order of Linux iavf. */
  open(): void {
    this.#sendTail = 0;
    this.#receiveNext = 0;
    this.#openRing(ATQ_REGISTERS, this.#layout.atq);
    for (let index = 0; index < ENTRIES; index++) this.#post(index);
    this.#openRing(ARQ_REGISTERS, this.#layout.arq);
    this.#registers.write(ARQ_REGISTERS.tail, ENTRIES - 1);
  }

  /** Puts a request into the send ring and rings the doorbell; runs nothing. Returns its ring place. */
  send(opcode: number, body: Uint8Array, aqOpcode: number = AQ_OPCODE.SEND_TO_PF): number {
    const index = this.#sendTail;
    const buffer = this.#layout.atqBuffers + index * AQ_BUFFER_SIZE;
    this.#memory.set(body, buffer);
    writeAqDescriptor(this.#data, this.#layout.atq + index * AQ_DESCRIPTOR_SIZE, {
      flags: sendFlags(body.length),
      opcode: aqOpcode,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: opcode,
      cookieLow: 0,
      param0: 0,
      param1: 0,
      address: body.length === 0 ? 0 : this.#layout.iova + buffer,
    });
    this.#sendTail = (index + 1) % ENTRIES;
    this.#registers.write(ATQ_REGISTERS.tail, this.#sendTail);
    return index;
  }

  /** The send ring's descriptor at `index`. */
  request(index: number): ReturnType<typeof readAqDescriptor> {
    return readAqDescriptor(this.#data, this.#layout.atq + index * AQ_DESCRIPTOR_SIZE);
  }

  /** Takes what stands in the receive ring, and posts its descriptors again. */
  take(): PfMessage[] {
    const messages: PfMessage[] = [];
    while (this.#receiveNext !== this.#registers.read(ARQ_REGISTERS.head)) {
      const index = this.#receiveNext;
      const place = this.#layout.arq + index * AQ_DESCRIPTOR_SIZE;
      const { cookieHigh, cookieLow, dataLength } = readAqDescriptor(this.#data, place);
      const buffer = this.#layout.arqBuffers + index * AQ_BUFFER_SIZE;
      const body = this.#memory.slice(buffer, buffer + dataLength);
      messages.push({ opcode: cookieHigh, status: cookieLow, body });
      this.#post(index);
      this.#registers.write(ARQ_REGISTERS.tail, index);
      this.#receiveNext = (index + 1) % ENTRIES;
    }
    return messages;
  }

  #openRing(ring: AqRegisters, place: number): void {
    const address = this.#layout.iova + place;
    this.#registers.write(ring.head, 0);
    this.#registers.write(ring.tail, 0);
    this.#registers.write(ring.len, (ENTRIES | AQ_LENGTH.ENABLE) >>> 0);
    this.#registers.write(ring.bal, address >>> 0);
    this.#registers.write(ring.bah, Math.floor(address / 0x1_0000_0000));
  }

  #post(index: number): void {
    const address = this.#layout.iova + this.#layout.arqBuffers + index * AQ_BUFFER_SIZE;
    const place = this.#layout.arq + index * AQ_DESCRIPTOR_SIZE;
    writeAqDescriptor(this.#data, place, postedArqDescriptor(address, AQ_BUFFER_SIZE));
  }
}
