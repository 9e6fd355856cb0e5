import {
  AQ_BUFFER_SIZE,
  AQ_DESCRIPTOR_SIZE,
  AQ_FLAG,
  AQ_INDEX_MASK,
  AQ_LENGTH,
  AQ_OPCODE,
  type AqRegisters,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  DEAD_READS,
  postedArqDescriptor,
  readAqDescriptor,
  sendFlags,
  splitAddress,
  virtchnlName,
  writeAqDescriptor,
} from "@vfmig/iavf";
import { GuestFault } from "../guest/fault.ts";
import type { GuestRam } from "../guest/guest-ram.ts";
import type { PciSlot } from "../guest/pci-slot.ts";

/** Entries of both rings, as iavf builds them. */
const ENTRIES = 32;

/** One message from the PF. */
export interface MailboxMessage {
  /** virtchnl operation. */
  readonly operation: number;
  /** virtchnl status; 0 is success. */
  readonly status: number;
  readonly body: Uint8Array;
}

interface Ring {
  readonly registers: AqRegisters;
  readonly iova: number;
  readonly buffers: number;
}

/** The admin queues of a VF, as iavf runs them: 32 entries, a page per buffer. */
export class Mailbox {
  readonly #slot: PciSlot;
  readonly #ram: GuestRam;
  readonly #send: Ring;
  readonly #receive: Ring;
  #sendUse = 0;
  #sendClean = 0;
  #receiveClean = 0;

  constructor(slot: PciSlot, ram: GuestRam) {
    this.#slot = slot;
    this.#ram = ram;
    const ring = (registers: AqRegisters): Ring => ({
      registers,
      iova: ram.allocate(ENTRIES * AQ_DESCRIPTOR_SIZE),
      buffers: ram.allocate(ENTRIES * AQ_BUFFER_SIZE),
    });
    this.#send = ring(ATQ_REGISTERS);
    this.#receive = ring(ARQ_REGISTERS);
  }

  /**
   * Sets both rings up in iavf's order of register writes.
   * @throws GuestFault where a base reads back other than written
   */
  init(): void {
    this.#sendUse = 0;
    this.#sendClean = 0;
    this.#receiveClean = 0;
    this.#ram.zero(this.#send.iova, ENTRIES * AQ_DESCRIPTOR_SIZE);
    this.#configure(this.#send);
    this.#checkBase(this.#send);
    for (let index = 0; index < ENTRIES; index++) this.#post(index);
    this.#configure(this.#receive);
    this.#slot.write32(this.#receive.registers.tail, ENTRIES - 1);
    this.#checkBase(this.#receive);
  }

  /** True while the device keeps the receive ring enabled: it was not reset. */
  get enabled(): boolean {
    return (this.#slot.read32(this.#receive.registers.len) & AQ_LENGTH.ENABLE) !== 0;
  }

  /** True once the device has taken every message sent. */
  get sent(): boolean {
    return this.#head() === this.#sendUse;
  }

  /** @throws GuestFault */
  send(operation: number, body: Uint8Array): void {
    this.#submit(AQ_OPCODE.SEND_TO_PF, sendFlags(body.length), operation, body, 0);
  }

  /** Says that the driver unloads, then clears both rings' registers. */
  shutdown(): void {
    const { len } = this.#send.registers;
    if ((this.#slot.read32(len) & AQ_LENGTH.ENABLE) !== 0) {
      this.#submit(AQ_OPCODE.QUEUE_SHUTDOWN, AQ_FLAG.SI, 0, new Uint8Array(0), 1);
    }
    for (const { registers } of [this.#send, this.#receive]) {
      for (const offset of [registers.head, registers.tail, registers.len]) {
        this.#slot.write32(offset, 0);
      }
      this.#slot.write32(registers.bal, 0);
      this.#slot.write32(registers.bah, 0);
    }
  }

  /** Hands out every message that waits, and reposts its descriptor. @throws GuestFault */
  drain(take: (message: MailboxMessage) => void): void {
    const { registers, iova, buffers } = this.#receive;
    for (;;) {
      const head = this.#slot.read32(registers.head) & AQ_INDEX_MASK;
      if (head >= ENTRIES) throw new GuestFault("mailbox-register", `ARQH is ${head}`, { head });
      if (head === this.#receiveClean) return;
      const index = this.#receiveClean;
      const offset = iova - this.#ram.base + index * AQ_DESCRIPTOR_SIZE;
      const descriptor = readAqDescriptor(this.#ram.data, offset);
      const { flags, opcode, dataLength } = descriptor;
      const sound = (flags & AQ_FLAG.DD) !== 0 && (flags & AQ_FLAG.ERR) === 0;
      if (!sound || opcode !== AQ_OPCODE.SEND_TO_VF || dataLength > AQ_BUFFER_SIZE) {
        throw new GuestFault("mailbox-descriptor", `receive slot ${index} holds no message`, {
          index,
          descriptor,
        });
      }
      const body = this.#ram.view(buffers + index * AQ_BUFFER_SIZE, dataLength).slice();
      this.#post(index);
      this.#slot.write32(registers.tail, index);
      this.#receiveClean = (index + 1) % ENTRIES;
      take({ operation: descriptor.cookieHigh, status: descriptor.cookieLow, body });
    }
  }

  /** Clears the error bits that the length registers show, as iavf does after each drain. */
  clearErrors(): void {
    for (const { len } of [this.#receive.registers, this.#send.registers]) {
      const value = this.#slot.read32(len);
      if (value === DEAD_READS.ALL_ONES || value === DEAD_READS.DEADBEEF) return;
      const errors = AQ_LENGTH.VFE | AQ_LENGTH.OVFL | AQ_LENGTH.CRIT;
      if ((value & errors) !== 0) this.#slot.write32(len, (value & ~errors) >>> 0);
    }
  }

  #configure({ registers, iova }: Ring): void {
    const { low, high } = splitAddress(iova);
    this.#slot.write32(registers.head, 0);
    this.#slot.write32(registers.tail, 0);
    this.#slot.write32(registers.len, (ENTRIES | AQ_LENGTH.ENABLE) >>> 0);
    this.#slot.write32(registers.bal, low);
    this.#slot.write32(registers.bah, high);
  }

  #checkBase({ registers, iova }: Ring): void {
    const { low } = splitAddress(iova);
    const read = this.#slot.read32(registers.bal);
    if (read === low) return;
    const at = registers.bal.toString(16);
    throw new GuestFault("mailbox-register", `0x${at} reads back ${read}, written was ${low}`, {
      read,
      low,
    });
  }

  #post(index: number): void {
    const { iova, buffers } = this.#receive;
    const address = buffers + index * AQ_BUFFER_SIZE;
    this.#write(iova + index * AQ_DESCRIPTOR_SIZE, postedArqDescriptor(address, AQ_BUFFER_SIZE));
  }

  #write(iova: number, descriptor: Parameters<typeof writeAqDescriptor>[2]): void {
    writeAqDescriptor(this.#ram.data, iova - this.#ram.base, descriptor);
    this.#ram.touch(iova, AQ_DESCRIPTOR_SIZE);
  }

  #submit(
    opcode: number,
    flags: number,
    operation: number,
    body: Uint8Array,
    param0: number,
  ): void {
    this.#reclaim();
    const index = this.#sendUse;
    const next = (index + 1) % ENTRIES;
    if (next === this.#sendClean) {
      throw new GuestFault("mailbox-register", `no room to send ${virtchnlName(operation)}`);
    }
    const buffer = this.#send.buffers + index * AQ_BUFFER_SIZE;
    this.#ram.write(buffer, body);
    this.#write(this.#send.iova + index * AQ_DESCRIPTOR_SIZE, {
      flags,
      opcode,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: operation,
      cookieLow: 0,
      param0,
      param1: 0,
      address: body.length === 0 ? 0 : buffer,
    });
    this.#sendUse = next;
    this.#slot.write32(this.#send.registers.tail, next);
  }

  #head(): number {
    const head = this.#slot.read32(this.#send.registers.head) & AQ_INDEX_MASK;
    if (head >= ENTRIES) throw new GuestFault("mailbox-register", `ATQH is ${head}`, { head });
    return head;
  }

  /** Looks at what the device has taken: each descriptor comes back done and without error. */
  #reclaim(): void {
    const head = this.#head();
    while (this.#sendClean !== head) {
      if (this.#sendClean === this.#sendUse) {
        throw new GuestFault("mailbox-register", `ATQH ${head} is beyond what was sent`, { head });
      }
      const offset = this.#send.iova - this.#ram.base + this.#sendClean * AQ_DESCRIPTOR_SIZE;
      const descriptor = readAqDescriptor(this.#ram.data, offset);
      const done = AQ_FLAG.DD | AQ_FLAG.CMP;
      if ((descriptor.flags & (done | AQ_FLAG.ERR)) !== done) {
        throw new GuestFault(
          "mailbox-descriptor",
          `send slot ${this.#sendClean} came back undone`,
          {
            descriptor,
          },
        );
      }
      this.#sendClean = (this.#sendClean + 1) % ENTRIES;
    }
  }
}
