/** A driver of the plainest kind for measuring a model: it costs nothing while the device works. */
import { PCI_IRQ, PCI_REGION, type VfioDevice } from "@vfmig/core";
import {
  AQ_BUFFER_SIZE,
  AQ_DESCRIPTOR_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  DYN_CTL,
  IAVF_6_1_CAPS,
  RX_DESCRIPTOR_SIZE,
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  VIRTCHNL_OP as OP,
  buildIrqMap,
  buildQueueConfig,
  buildQueueSelect,
  buildResourcesRequest,
  buildRssKey,
  buildRssLut,
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
import type { ManualClock } from "@vfmig/testkit";

/** Descriptors of each ring. */
export const RING = 512;

const AQ_ENTRIES = 32;
const BUFFER = 2048;
const PLACE = { atq: 0, arq: 0x1000, atqBuffers: 0x2000, arqBuffers: 0x3000, queues: 0x4_0000 };

/** Bytes of one queue: two rings, and a buffer for each descriptor of each. */
const QUEUE_SIZE = 0x8000 + 2 * RING * BUFFER;

export class BareDriver {
  readonly memory: Uint8Array;
  readonly data: DataView;
  readonly #device: VfioDevice;
  readonly #clock: ManualClock;
  readonly #queues: number;
  readonly #word: Uint8Array = new Uint8Array(4);
  #vsiId = 0;
  #requests = 0;
  #answers = 0;

  constructor(device: VfioDevice, clock: ManualClock, queues: number) {
    this.#device = device;
    this.#clock = clock;
    this.#queues = queues;
    this.memory = new Uint8Array(PLACE.queues + queues * QUEUE_SIZE);
    this.data = new DataView(this.memory.buffer);
    this.#open();
    this.#configure();
  }

  txRing(queue: number): number {
    return PLACE.queues + queue * QUEUE_SIZE;
  }

  rxRing(queue: number): number {
    return this.txRing(queue) + 0x2000;
  }

  txBuffer(queue: number, index: number): number {
    return this.txRing(queue) + 0x8000 + index * BUFFER;
  }

  rxBuffer(queue: number, index: number): number {
    return this.txBuffer(queue, RING + index);
  }

  /** Posts `count` Rx descriptors from ring place `first`; the tail is written apart. */
  post(queue: number, first: number, count: number): void {
    for (let n = 0; n < count; n++) {
      const index = (first + n) % RING;
      const place = this.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
      writeRxPosted(this.data, place, this.rxBuffer(queue, index));
    }
  }

  /** Fills `count` Tx descriptors, one frame each; the tail is written apart. */
  fill(queue: number, first: number, count: number, bytes: number): void {
    const command = TX_COMMAND.EOP | TX_COMMAND.RS | TX_COMMAND.ICRC;
    for (let n = 0; n < count; n++) {
      const index = (first + n) % RING;
      const place = this.txRing(queue) + index * TX_DESCRIPTOR_SIZE;
      writeTxData(this.data, place, this.txBuffer(queue, index), bytes, command);
    }
  }

  rxTail(queue: number, index: number): void {
    this.#write(rxTail(queue), index % RING);
  }

  txTail(queue: number, index: number): void {
    this.#write(txTail(queue), index % RING);
  }

  arm(queue: number): void {
    this.#write(vectorControl(queue + 1), DYN_CTL.REARM);
  }

  #write(offset: number, value: number): void {
    new DataView(this.#word.buffer).setUint32(0, value, true);
    this.#device.writeRegion(PCI_REGION.BAR0, offset, this.#word);
  }

  #open(): void {
    const memory = { bytes: this.memory };
    const size = BigInt(this.memory.length);
    void this.#device.mapDma({ iova: 0n, size, read: true, write: true, memory });
    this.#device.writeRegion(PCI_REGION.CONFIG, 4, Uint8Array.of(6, 0));
    const count = this.#device.info.irqs[PCI_IRQ.MSIX]?.count ?? 0;
    const events = Array.from({ length: count }, () => ({ signal: () => undefined }));
    const data = { kind: "event", events } as const;
    this.#device.setIrqs({ index: PCI_IRQ.MSIX, start: 0, count, action: "trigger", data });
    for (const [ring, place] of [
      [ATQ_REGISTERS, PLACE.atq],
      [ARQ_REGISTERS, PLACE.arq],
    ] as const) {
      this.#write(ring.bal, place);
      this.#write(ring.len, (AQ_ENTRIES | AQ_LENGTH.ENABLE) >>> 0);
    }
    for (let index = 0; index < AQ_ENTRIES; index++) {
      const place = PLACE.arq + index * AQ_DESCRIPTOR_SIZE;
      const buffer = PLACE.arqBuffers + index * AQ_BUFFER_SIZE;
      writeAqDescriptor(this.data, place, postedArqDescriptor(buffer, AQ_BUFFER_SIZE));
    }
    this.#write(ARQ_REGISTERS.tail, AQ_ENTRIES - 1);
  }

  /** Asks, and gives the answer; at most 31 messages come in all, which is enough here. */
  #ask(opcode: number, body: Uint8Array): Uint8Array {
    this.memory.set(body, PLACE.atqBuffers);
    writeAqDescriptor(this.data, PLACE.atq + this.#requests * AQ_DESCRIPTOR_SIZE, {
      flags: sendFlags(body.length),
      opcode: AQ_OPCODE.SEND_TO_PF,
      dataLength: body.length,
      returnValue: 0,
      cookieHigh: opcode,
      cookieLow: 0,
      param0: 0,
      param1: 0,
      address: PLACE.atqBuffers,
    });
    this.#write(ATQ_REGISTERS.tail, ++this.#requests);
    this.#clock.runSoon();
    for (; this.#answers < AQ_ENTRIES - 1; this.#answers++) {
      const place = PLACE.arq + this.#answers * AQ_DESCRIPTOR_SIZE;
      const { cookieHigh, cookieLow, dataLength } = readAqDescriptor(this.data, place);
      if (cookieHigh !== opcode) continue;
      if (cookieLow !== 0) throw new Error(`request ${opcode} ended with status ${cookieLow}`);
      const buffer = PLACE.arqBuffers + this.#answers++ * AQ_BUFFER_SIZE;
      return this.memory.slice(buffer, buffer + dataLength);
    }
    throw new Error(`no answer to request ${opcode}`);
  }

  #configure(): void {
    this.#ask(OP.VERSION, buildVersion());
    const reply = this.#ask(OP.GET_VF_RESOURCES, buildResourcesRequest(IAVF_6_1_CAPS));
    this.#vsiId = parseResources(reply).vsiId;
    const vsiId = this.#vsiId;
    const queues = Array.from({ length: this.#queues }, (_, queue) => queue);
    const maps = queues.map((queue) => ({
      vsiId,
      vector: queue + 1,
      rxQueues: 1 << queue,
      txQueues: 1 << queue,
      rxItr: 0,
      txItr: 1,
    }));
    this.#ask(OP.CONFIG_IRQ_MAP, buildIrqMap(maps));
    const key = Uint8Array.from({ length: 52 }, (_, index) => (index * 167 + 29) & 0xff);
    this.#ask(OP.CONFIG_RSS_KEY, buildRssKey({ vsiId, key }));
    const lut = Uint8Array.from({ length: 64 }, (_, entry) => entry % this.#queues);
    this.#ask(OP.CONFIG_RSS_LUT, buildRssLut({ vsiId, lut }));
    const pairs = queues.map((queue) => this.#pair(queue));
    this.#ask(OP.CONFIG_VSI_QUEUES, buildQueueConfig({ vsiId, pairs }));
    const all = 2 ** this.#queues - 1;
    this.#ask(OP.ENABLE_QUEUES, buildQueueSelect({ vsiId, rxQueues: all, txQueues: all }));
  }

  #pair(queue: number): Parameters<typeof buildQueueConfig>[0]["pairs"][number] {
    const common = { vsiId: this.#vsiId, queue, length: RING };
    return {
      tx: { ...common, headWriteBack: false, base: this.txRing(queue), headAddress: 0 },
      rx: {
        ...common,
        headerSize: 0,
        split: false,
        bufferSize: BUFFER,
        maxPacket: 1534,
        crcDisable: 0,
        rxdid: 0,
        flags: 0,
        base: this.rxRing(queue),
        splitPosition: 0,
      },
    };
  }
}
