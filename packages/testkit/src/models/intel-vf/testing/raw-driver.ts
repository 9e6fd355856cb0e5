import { PCI_IRQ, PCI_REGION, type Logger, type VfioDevice } from "@vfmig/core";
import {
  AQ_BUFFER_SIZE,
  AQ_DESCRIPTOR_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  DYN_CTL,
  IAVF_7_2_CAPS,
  RX_DESCRIPTOR_SIZE,
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  VF_CAP,
  VF_REGISTER,
  VIRTCHNL_OP as OP,
  buildIrqMap,
  buildQueueConfig,
  buildQueueSelect,
  buildResourcesRequest,
  buildVersion,
  parseResources,
  postedArqDescriptor,
  readAqDescriptor,
  rxTail,
  sendFlags,
  txTail,
  vectorControl,
  writeAqDescriptor,
  writeRxPosted,
  writeTxData,
} from "@vfmig/iavf";
import { must } from "./frames.ts";
import { TestPort } from "./test-port.ts";
import { createManualClock, type ManualClock } from "../../../clock/manual-clock.ts";
import { createE810VfModel } from "../../e810-vf/e810-vf-model.ts";
import { createI40eVfModel } from "../../i40e-vf/i40e-vf-model.ts";
import type { VfModel } from "../create-vf-model.ts";
import type { VfModelOptions } from "../options.ts";

/** A message from the PF, as the driver finds it in its receive ring. */
export interface PfMessage {
  readonly opcode: number;
  readonly status: number;
  readonly body: Uint8Array;
}

const AQ_ENTRIES = 32;

/** Where things stand in the mapped memory, in bytes from its start. */
const PLACE = {
  atq: 0x0000,
  arq: 0x1000,
  atqBuffers: 0x10000,
  arqBuffers: 0x40000,
  txRing: 0x80000,
  rxRing: 0xa0000,
  buffers: 0x100000,
} as const;

export const RIG_MAC = "02:00:00:00:00:0a";
export const PEER_MAC = "02:00:00:00:00:0b";
const MEMORY_SIZE = 0x800000;
const RING_STRIDE = 0x8000;

/** IOVA of the memory's first byte: not 0, so that a missing base shows. */
export const IOVA = 0x1_4000_0000;

/** The models that a test runs on. */
export const VF_KINDS = ["i40e-vf", "e810-vf"] as const;
export type VfKind = (typeof VF_KINDS)[number];

export interface RigOptions extends Partial<VfModelOptions> {
  /** Default: a 700-series VF. */
  readonly kind?: VfKind;
  readonly logger?: Logger;
}

/** A model with a driver of the plainest kind: registers by number, rings in one piece of memory. */
export class Rig {
  readonly clock: ManualClock = createManualClock();
  readonly port: TestPort = new TestPort();
  readonly memory: Uint8Array = new Uint8Array(MEMORY_SIZE);
  readonly data: DataView = new DataView(this.memory.buffer);
  readonly model: VfModel;
  readonly device: VfioDevice;
  /** Signals of each MSI-X vector. */
  readonly signals: number[] = [];
  readonly messages: PfMessage[] = [];
  vsiId = 0;
  /** Write-back format of Rx queues: 1 where the PF knows formats at all, as drivers do. */
  rxdid = 0;
  readonly #word: Uint8Array = new Uint8Array(4);
  #atqTail = 0;
  #arqNext = 0;

  constructor(options: RigOptions = {}) {
    const { kind = "i40e-vf", vsiId, ...rest } = options;
    const context = { name: "vf0", mac: RIG_MAC, port: this.port, clock: this.clock };
    this.model =
      kind === "i40e-vf"
        ? createI40eVfModel({ ...context, ...without(rest), vsiId: vsiId ?? 7 })
        : createE810VfModel({ ...context, ...rest });
    this.device = this.model.device;
  }

  read(offset: number): number {
    this.device.readRegion(PCI_REGION.BAR0, offset, this.#word);
    return new DataView(this.#word.buffer).getUint32(0, true);
  }

  write(offset: number, value: number): void {
    new DataView(this.#word.buffer).setUint32(0, value, true);
    this.device.writeRegion(PCI_REGION.BAR0, offset, this.#word);
  }

  readConfig(offset: number, size: 1 | 2 | 4): number {
    const bytes = new Uint8Array(4);
    this.device.readRegion(PCI_REGION.CONFIG, offset, bytes.subarray(0, size));
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  writeConfig(offset: number, value: number, size: 1 | 2 | 4): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
    this.device.writeRegion(PCI_REGION.CONFIG, offset, bytes.subarray(0, size));
  }

  setBusMaster(on: boolean): void {
    this.writeConfig(4, on ? 6 : 2, 2);
  }

  mapMemory(): void {
    void this.device.mapDma({
      iova: BigInt(IOVA),
      size: BigInt(MEMORY_SIZE),
      read: true,
      write: true,
      memory: { bytes: this.memory },
    });
  }

  enableInterrupts(vectors: number = must(this.device.info.irqs[PCI_IRQ.MSIX]).count): void {
    this.device.setIrqs({
      index: PCI_IRQ.MSIX,
      start: 0,
      count: vectors,
      action: "trigger",
      data: {
        kind: "event",
        events: Array.from({ length: vectors }, (_, vector) => ({
          signal: () => void (this.signals[vector] = (this.signals[vector] ?? 0) + 1),
        })),
      },
    });
  }

  arm(vector: number): void {
    this.write(vectorControl(vector), DYN_CTL.REARM);
  }

  /** Sets up both admin queues in the order of Linux iavf. */
  openMailbox(): void {
    this.#atqTail = 0;
    this.#arqNext = 0;
    this.#openRing(ATQ_REGISTERS, PLACE.atq);
    for (let index = 0; index < AQ_ENTRIES; index++) this.#post(index);
    this.#openRing(ARQ_REGISTERS, PLACE.arq);
    this.write(ARQ_REGISTERS.tail, AQ_ENTRIES - 1);
  }

  /** Puts a request into the send ring and rings the doorbell; runs nothing. Returns its ring place. */
  send(opcode: number, body: Uint8Array = new Uint8Array(0), aqOpcode?: number): number {
    const index = this.#atqTail;
    const buffer = PLACE.atqBuffers + index * AQ_BUFFER_SIZE;
    this.memory.set(body, buffer);
    writeAqDescriptor(this.data, PLACE.atq + index * AQ_DESCRIPTOR_SIZE, {
      flags: sendFlags(body.length),
      opcode: aqOpcode ?? AQ_OPCODE.SEND_TO_PF,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: opcode,
      cookieLow: 0,
      param0: 0,
      param1: 0,
      address: body.length === 0 ? 0 : IOVA + buffer,
    });
    this.#atqTail = (index + 1) % AQ_ENTRIES;
    this.write(ATQ_REGISTERS.tail, this.#atqTail);
    return index;
  }

  /** The send ring's descriptor at `index`. */
  request(index: number): ReturnType<typeof readAqDescriptor> {
    return readAqDescriptor(this.data, PLACE.atq + index * AQ_DESCRIPTOR_SIZE);
  }

  /** Takes what stands in the receive ring, and posts its descriptors again. */
  poll(): void {
    while (this.#arqNext !== this.read(ARQ_REGISTERS.head)) {
      const place = PLACE.arq + this.#arqNext * AQ_DESCRIPTOR_SIZE;
      const descriptor = readAqDescriptor(this.data, place);
      const buffer = PLACE.arqBuffers + this.#arqNext * AQ_BUFFER_SIZE;
      this.messages.push({
        opcode: descriptor.cookieHigh,
        status: descriptor.cookieLow,
        body: this.memory.slice(buffer, buffer + descriptor.dataLength),
      });
      this.#post(this.#arqNext);
      this.write(ARQ_REGISTERS.tail, this.#arqNext);
      this.#arqNext = (this.#arqNext + 1) % AQ_ENTRIES;
    }
  }

  /** Sends, lets the device run, and returns the answer with that opcode, if one came. */
  ask(opcode: number, body?: Uint8Array): PfMessage | undefined {
    this.messages.length = 0;
    this.send(opcode, body);
    this.clock.runSoon();
    this.poll();
    return this.messages.find((message) => message.opcode === opcode);
  }

  /** As {@link Rig.ask}, but the answer must have come. */
  answer(opcode: number, body?: Uint8Array): PfMessage {
    const message = this.ask(opcode, body);
    if (message === undefined) throw new Error(`no answer to request ${opcode}`);
    return message;
  }

  /** Bus master, memory, interrupts, mailbox, VERSION and GET_VF_RESOURCES. */
  negotiate(caps: number = IAVF_7_2_CAPS): ReturnType<typeof parseResources> {
    this.setBusMaster(true);
    this.mapMemory();
    this.enableInterrupts();
    return this.renegotiate(caps);
  }

  /** The same on a function that a reset left bare. */
  renegotiate(caps: number = IAVF_7_2_CAPS): ReturnType<typeof parseResources> {
    this.openMailbox();
    this.answer(OP.VERSION, buildVersion());
    const resources = parseResources(
      this.answer(OP.GET_VF_RESOURCES, buildResourcesRequest(caps)).body,
    );
    this.vsiId = resources.vsiId;
    this.rxdid = (resources.caps & VF_CAP.RX_FLEX_DESC) === 0 ? 0 : 1;
    return resources;
  }

  /** Configures `pairs` pairs with rings of `length`, vector = queue + 1, posts Rx and enables them. */
  startQueues(pairs = 1, length = 64, bufferSize = 2048): void {
    this.answer(OP.CONFIG_IRQ_MAP, this.irqMap(pairs));
    for (let queue = 0; queue < pairs; queue++) this.postAll(queue, length, bufferSize);
    this.answer(OP.CONFIG_VSI_QUEUES, this.queueConfig(pairs, length, bufferSize));
    this.answer(OP.ENABLE_QUEUES, this.select((1 << pairs) - 1));
    for (let queue = 0; queue < pairs; queue++) this.arm(queue + 1);
  }

  irqMap(pairs: number): Uint8Array {
    return buildIrqMap(
      Array.from({ length: pairs }, (_, queue) => ({
        vsiId: this.vsiId,
        vector: queue + 1,
        rxQueues: 1 << queue,
        txQueues: 1 << queue,
        rxItr: 0,
        txItr: 1,
      })),
    );
  }

  queueConfig(pairs: number, length = 64, bufferSize = 2048, first = 0): Uint8Array {
    return buildQueueConfig({
      vsiId: this.vsiId,
      pairs: Array.from({ length: pairs }, (_, index) => {
        const queue = first + index;
        return {
          tx: {
            vsiId: this.vsiId,
            queue,
            length,
            headWriteBack: false,
            base: IOVA + this.txRing(queue),
            headAddress: 0,
          },
          rx: {
            vsiId: this.vsiId,
            queue,
            length,
            headerSize: 0,
            split: false,
            bufferSize,
            maxPacket: 9000,
            crcDisable: 0,
            rxdid: this.rxdid,
            flags: 0,
            base: IOVA + this.rxRing(queue),
            splitPosition: 0,
          },
        };
      }),
    });
  }

  select(bitmap: number): Uint8Array {
    return buildQueueSelect({ vsiId: this.vsiId, rxQueues: bitmap, txQueues: bitmap });
  }

  txRing(queue: number): number {
    return PLACE.txRing + queue * RING_STRIDE;
  }

  rxRing(queue: number): number {
    return PLACE.rxRing + queue * RING_STRIDE;
  }

  /** Where receive buffer `index` of `queue` stands in memory. */
  rxBuffer(queue: number, index: number): number {
    return PLACE.buffers + queue * 0x80000 + index * 4096;
  }

  /** Posts all descriptors of a ring but one, and writes the tail as Linux does. */
  postAll(queue: number, length = 64, _bufferSize = 2048): void {
    for (let index = 0; index < length; index++) {
      const place = this.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
      writeRxPosted(this.data, place, IOVA + this.rxBuffer(queue, index));
    }
    this.write(rxTail(queue), length - 1);
  }

  /** The write-back at `index`: halves of quadword 1, hash and tag. */
  rxBack(queue: number, index: number): { low: number; high: number; hash: number; tag: number } {
    const place = this.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
    return {
      low: this.data.getUint32(place + 8, true),
      high: this.data.getUint32(place + 12, true),
      hash: this.data.getUint32(place + 4, true),
      tag: this.data.getUint16(place + 2, true),
    };
  }

  /** Where the bytes of transmit descriptor `index` of `queue` stand in memory. */
  txBuffer(queue: number, index: number): number {
    return PLACE.buffers + 0x400000 + queue * 0x40000 + index * 4096;
  }

  /** Writes a context descriptor at ring place `index`. */
  putContext(
    queue: number,
    index: number,
    fields: { command?: number; tunnel?: number; tag2?: number; length?: number; mss?: number },
  ): void {
    const { command = 0, tunnel = 0, tag2 = 0, length = 0, mss = 0 } = fields;
    const place = this.txRing(queue) + index * TX_DESCRIPTOR_SIZE;
    this.data.setUint32(place, tunnel, true);
    this.data.setUint32(place + 4, tag2, true);
    this.data.setUint32(place + 8, (1 | command | ((length & 3) << 30)) >>> 0, true);
    this.data.setUint32(place + 12, ((length >>> 2) | (mss << 18)) >>> 0, true);
  }

  /** Adds header lengths (bytes) to the data descriptor at `place`. */
  setOffsets(place: number, mac: number, ip: number, l4: number): void {
    const low = this.data.getUint32(place + 8, true);
    const high = this.data.getUint32(place + 12, true);
    const words = ((mac / 2) << 16) | ((ip / 4) << 23) | (((l4 / 4) & 3) << 30);
    this.data.setUint32(place + 8, (low | words) >>> 0, true);
    this.data.setUint32(place + 12, (high | ((l4 / 4) >>> 2)) >>> 0, true);
  }

  /** Writes a data descriptor with its bytes at ring place `index`. */
  putTx(
    queue: number,
    index: number,
    bytes: Uint8Array,
    command: number = TX_COMMAND.EOP | TX_COMMAND.RS,
    tag = 0,
  ): number {
    const buffer = this.txBuffer(queue, index);
    this.memory.set(bytes, buffer);
    const place = this.txRing(queue) + index * TX_DESCRIPTOR_SIZE;
    writeTxData(this.data, place, IOVA + buffer, bytes.length, command, tag);
    return place;
  }

  /** Rings the Tx doorbell and lets the device work. */
  kickTx(queue: number, tail: number): void {
    this.write(txTail(queue), tail);
    this.clock.runSoon();
  }

  #openRing(ring: typeof ATQ_REGISTERS, place: number): void {
    this.write(ring.head, 0);
    this.write(ring.tail, 0);
    this.write(ring.len, (AQ_ENTRIES | AQ_LENGTH.ENABLE) >>> 0);
    this.write(ring.bal, (IOVA + place) >>> 0);
    this.write(ring.bah, Math.floor((IOVA + place) / 0x1_0000_0000));
  }

  #post(index: number): void {
    writeAqDescriptor(
      this.data,
      PLACE.arq + index * AQ_DESCRIPTOR_SIZE,
      postedArqDescriptor(IOVA + PLACE.arqBuffers + index * AQ_BUFFER_SIZE, AQ_BUFFER_SIZE),
    );
  }
}

/** The options that an i40e's VF has. */
function without(options: RigOptions): RigOptions {
  const { doubleVlan: _doubleVlan, qos: _qos, ...rest } = options;
  return rest;
}

/** A register of the mailbox vector: arms it and lets admin queue causes in. */
export function armMailbox(rig: Rig): void {
  rig.arm(0);
  rig.write(VF_REGISTER.VFINT_ICR0_ENA1, 0x4000_0000);
}

/** A running function with `pairs` queue pairs. */
export function startedRig(
  pairs = 1,
  options: RigOptions = {},
  length = 64,
  bufferSize = 2048,
): Rig {
  const rig = new Rig(options);
  rig.negotiate();
  rig.startQueues(pairs, length, bufferSize);
  return rig;
}

/** Makers of rigs with one kind of VF. */
export interface Rigs {
  readonly newRig: (options?: RigOptions) => Rig;
  readonly startedRig: (
    pairs?: number,
    options?: RigOptions,
    length?: number,
    bufferSize?: number,
  ) => Rig;
}

export function rigsOf(kind: VfKind): Rigs {
  return {
    newRig: (options) => new Rig({ kind, ...options }),
    startedRig: (pairs, options, length, bufferSize) =>
      startedRig(pairs, { kind, ...options }, length, bufferSize),
  };
}
