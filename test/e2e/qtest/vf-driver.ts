import {
  AQ_BUFFER_SIZE,
  AQ_DESCRIPTOR_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  RSTAT,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  VF_REGISTER,
  VIRTCHNL_OP,
  buildVersion,
  postedArqDescriptor,
  readAqDescriptor,
  sendFlags,
  splitAddress,
  writeAqDescriptor,
  type AqDescriptor,
  type AqRegisters,
} from "@vfmig/iavf";
import type { Qtest } from "../machine/qtest.ts";
import { eventually } from "../run/time-limit.ts";
import { COMMAND, PCI, PciFunction } from "./pci-function.ts";

const ENTRIES = 16;
const PLACE = { atq: 0, arq: 0x1000, atqBuffer: 0x2000, arqBuffers: 0x1_0000, message: 0x8000 };

/** What the test's MSI-X messages say; vector v sends `MESSAGE + v`. */
const MESSAGE = 0x5a00;

export interface VfDriverOptions {
  /** Where BAR0 goes; BAR3 follows 1 MiB above. */
  readonly bar0?: number;
  /** Guest memory for rings and buffers, 256 KiB. */
  readonly memory?: number;
}

/** The first steps of an adaptive VF's driver, done by the test itself through qtest. */
export class VfDriver {
  readonly pci: PciFunction;
  readonly #qtest: Qtest;
  readonly #bar0: number;
  readonly #memory: number;
  #next = 0;

  constructor(qtest: Qtest, slot: number, options: VfDriverOptions = {}) {
    this.pci = new PciFunction(qtest, slot);
    this.#qtest = qtest;
    this.#bar0 = options.bar0 ?? 0xe000_0000;
    this.#memory = options.memory ?? 0x10_0000;
  }

  /** Where BAR0 is placed. */
  get bar0(): number {
    return this.#bar0;
  }

  get bar3(): number {
    return this.#bar0 + 0x10_0000;
  }

  read(register: number): Promise<number> {
    return this.#qtest.load32(this.#bar0 + register);
  }

  write(register: number, value: number): Promise<void> {
    return this.#qtest.store(this.#bar0 + register, value >>> 0);
  }

  /** Places both BARs and enables the function. */
  async enable(command: number = COMMAND.MEMORY | COMMAND.BUS_MASTER): Promise<void> {
    await this.pci.place(PCI.BAR0, this.#bar0);
    await this.pci.place(PCI.BAR3, this.bar3);
    await this.pci.command(command);
  }

  /** Points every vector at a word of guest memory of its own, and turns MSI-X on. */
  async enableMsix(vectors: number): Promise<void> {
    const control = (await this.pci.msixOffset()) + 2;
    for (let vector = 0; vector < vectors; vector++) {
      const at = this.bar3 + 16 * vector;
      const target = splitAddress(this.messageAddress(vector));
      await this.#qtest.store(this.messageAddress(vector), 0);
      await this.#qtest.store(at, target.low);
      await this.#qtest.store(at + 4, target.high);
      await this.#qtest.store(at + 8, MESSAGE + vector);
      await this.maskVector(vector, false);
    }
    await this.pci.write(control, 0x8000, 2);
  }

  async maskVector(vector: number, masked: boolean): Promise<void> {
    await this.#qtest.store(this.bar3 + 16 * vector + 12, masked ? 1 : 0);
  }

  /** Where a vector's message arrives. */
  messageAddress(vector: number): number {
    return this.#memory + PLACE.message + 4 * vector;
  }

  /** Whether a vector's message has arrived since this was last asked. */
  async takeMessage(vector: number): Promise<boolean> {
    const value = await this.#qtest.load32(this.messageAddress(vector));
    if (value === 0) return false;
    if (value !== MESSAGE + vector)
      throw new Error(`vector ${vector} sent 0x${value.toString(16)}`);
    await this.#qtest.store(this.messageAddress(vector), 0);
    return true;
  }

  async waitForMessage(vector: number): Promise<void> {
    const what = `the message of vector ${vector}`;
    await eventually(3000, what, async () => (await this.takeMessage(vector)) || undefined);
  }

  /** Waits until the VF is out of reset, as every driver has to. */
  async waitUntilActive(): Promise<void> {
    await eventually(3000, "an active VF", async () => {
      const state = (await this.read(VF_REGISTER.VFGEN_RSTAT)) & RSTAT.MASK;
      return state === RSTAT.ACTIVE || undefined;
    });
  }

  /** Both admin queues as Linux iavf sets them up, and the mailbox interrupt. */
  async openMailbox(): Promise<void> {
    await this.waitUntilActive();
    this.#next = 0;
    await this.#qtest.write(this.#memory, new Uint8Array(0x2000));
    const ring = new DataView(new ArrayBuffer(ENTRIES * AQ_DESCRIPTOR_SIZE));
    for (let index = 0; index < ENTRIES; index++) {
      const posted = postedArqDescriptor(this.#arqBuffer(index), AQ_BUFFER_SIZE);
      writeAqDescriptor(ring, index * AQ_DESCRIPTOR_SIZE, posted);
    }
    await this.#qtest.write(this.#memory + PLACE.arq, new Uint8Array(ring.buffer));
    await this.#openRing(ATQ_REGISTERS, PLACE.atq);
    await this.#openRing(ARQ_REGISTERS, PLACE.arq);
    await this.write(ARQ_REGISTERS.tail, ENTRIES - 1);
    await this.write(VF_REGISTER.VFINT_ICR0_ENA1, 0x4000_0000);
    await this.write(VF_REGISTER.VFINT_DYN_CTL01, 0x19);
  }

  /** Puts VERSION 1.1 into the send ring and rings the doorbell. */
  async sendVersion(): Promise<void> {
    const body = buildVersion({ major: 1, minor: 1 });
    await this.#qtest.write(this.#memory + PLACE.atqBuffer, body);
    const bytes = new DataView(new ArrayBuffer(AQ_DESCRIPTOR_SIZE));
    writeAqDescriptor(bytes, 0, {
      flags: sendFlags(body.length),
      opcode: AQ_OPCODE.SEND_TO_PF,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: VIRTCHNL_OP.VERSION,
      cookieLow: 0,
      param0: 0,
      param1: 0,
      address: this.#memory + PLACE.atqBuffer,
    });
    const at = this.#memory + PLACE.atq + this.#next * AQ_DESCRIPTOR_SIZE;
    await this.#qtest.write(at, new Uint8Array(bytes.buffer));
    this.#next = (this.#next + 1) % ENTRIES;
    await this.write(ATQ_REGISTERS.tail, this.#next);
  }

  /** Waits for the answer to {@link sendVersion}; returns the version that the PF tells, such as "1.1". */
  async version(limitMs = 3000): Promise<string> {
    const index = (this.#next + ENTRIES - 1) % ENTRIES;
    const answer = await eventually(limitMs, "an answer to VERSION", () => this.#received(index));
    if (answer.opcode !== AQ_OPCODE.SEND_TO_VF || answer.cookieHigh !== VIRTCHNL_OP.VERSION) {
      throw new Error(`the PF answered VERSION by ${JSON.stringify(answer)}`);
    }
    const body = await this.#qtest.read(this.#arqBuffer(index), answer.dataLength);
    await this.#consume(index);
    return `${body.readUInt32LE(0)}.${body.readUInt32LE(4)}`;
  }

  /** The receive descriptor, once the device has written it back. */
  async #received(index: number): Promise<AqDescriptor | undefined> {
    const at = this.#memory + PLACE.arq + index * AQ_DESCRIPTOR_SIZE;
    const bytes = await this.#qtest.read(at, AQ_DESCRIPTOR_SIZE);
    const descriptor = readAqDescriptor(new DataView(bytes.buffer, bytes.byteOffset), 0);
    return (descriptor.flags & 1) === 0 ? undefined : descriptor;
  }

  /** Gives a receive descriptor back, and re-arms the mailbox vector. */
  async #consume(index: number): Promise<void> {
    const bytes = new DataView(new ArrayBuffer(AQ_DESCRIPTOR_SIZE));
    writeAqDescriptor(bytes, 0, postedArqDescriptor(this.#arqBuffer(index), AQ_BUFFER_SIZE));
    const at = this.#memory + PLACE.arq + index * AQ_DESCRIPTOR_SIZE;
    await this.#qtest.write(at, new Uint8Array(bytes.buffer));
    await this.write(ARQ_REGISTERS.tail, index);
    await this.read(VF_REGISTER.VFINT_ICR01);
    await this.write(VF_REGISTER.VFINT_DYN_CTL01, 0x19);
  }

  async #openRing(registers: AqRegisters, place: number): Promise<void> {
    const { low, high } = splitAddress(this.#memory + place);
    await this.write(registers.head, 0);
    await this.write(registers.tail, 0);
    await this.write(registers.len, AQ_LENGTH.ENABLE | ENTRIES);
    await this.write(registers.bal, low);
    await this.write(registers.bah, high);
    const back = await this.read(registers.bal);
    if (back !== low) throw new Error(`a ring's address reads back as 0x${back.toString(16)}`);
  }

  #arqBuffer(index: number): number {
    return this.#memory + PLACE.arqBuffers + index * AQ_BUFFER_SIZE;
  }
}
