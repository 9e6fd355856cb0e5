import { PCI_IRQ, PCI_REGION, type VfioDevice } from "@vfmig/core";
import {
  buildIrqMap,
  buildQueueConfig,
  buildQueueSelect,
  buildResourcesRequest,
  buildVersion,
  DYN_CTL,
  IAVF_7_2_CAPS,
  parseResources,
  RX_DESCRIPTOR_SIZE,
  rxTail,
  TX_DESCRIPTOR_SIZE,
  txTail,
  VF_CAP,
  type VfResources,
  VIRTCHNL_OP as OP,
  vectorControl,
  writeRxPosted,
  writeTxData,
} from "@vfmig/iavf";
import { BareMailbox, type PfMessage } from "./bare-mailbox.ts";
import type { Layout } from "./layout.ts";

/**
 * A driver of the plainest kind, for tests and measurements of a model: registers by number, rings in
 * one piece of memory, no work of its own while the device works.
 */
export class BareDriver {
  readonly device: VfioDevice;
  readonly layout: Layout;
  readonly memory: Uint8Array;
  readonly data: DataView;
  /** Signals of each MSI-X vector. */
  readonly signals: number[] = [];
  readonly messages: PfMessage[] = [];
  vsiId = 0;
  /** Write-back format of Rx queues: 1 where the PF knows formats at all, as drivers do. */
  rxdid = 0;
  protected readonly mailbox: BareMailbox;
  readonly #run: () => void;
  readonly #word: Uint8Array = new Uint8Array(4);
  readonly #value: DataView = new DataView(this.#word.buffer);

  /** @param run - lets the device do what it has to do */
  constructor(device: VfioDevice, layout: Layout, run: () => void) {
    this.device = device;
    this.layout = layout;
    this.memory = new Uint8Array(layout.size);
    this.data = new DataView(this.memory.buffer);
    this.mailbox = new BareMailbox(this, this.memory, layout);
    this.#run = run;
  }

  read(offset: number): number {
    this.device.readRegion(PCI_REGION.BAR0, offset, this.#word);
    return this.#value.getUint32(0, true);
  }

  write(offset: number, value: number): void {
    this.#value.setUint32(0, value, true);
    this.device.writeRegion(PCI_REGION.BAR0, offset, this.#word);
  }

  setBusMaster(on: boolean): void {
    this.device.writeRegion(PCI_REGION.CONFIG, 4, Uint8Array.of(on ? 6 : 2, 0));
  }

  mapMemory(): void {
    const { layout, memory } = this;
    void this.device.mapDma({
      iova: BigInt(layout.iova),
      size: BigInt(layout.size),
      read: true,
      write: true,
      memory: { bytes: memory },
    });
  }

  enableInterrupts(count: number = this.device.info.irqs[PCI_IRQ.MSIX]?.count ?? 0): void {
    const events = Array.from({ length: count }, (_, vector) => ({
      signal: () => void (this.signals[vector] = (this.signals[vector] ?? 0) + 1),
    }));
    const data = { kind: "event", events } as const;
    this.device.setIrqs({ index: PCI_IRQ.MSIX, start: 0, count, action: "trigger", data });
  }

  arm(vector: number): void {
    this.write(vectorControl(vector), DYN_CTL.REARM);
  }

  openMailbox(): void {
    this.mailbox.open();
  }

  /** Takes what the PF has said. */
  poll(): void {
    this.messages.push(...this.mailbox.take());
  }

  /** Sends, lets the device run, and returns the answer with that opcode, if one came. */
  ask(opcode: number, body: Uint8Array = new Uint8Array(0)): PfMessage | undefined {
    this.messages.length = 0;
    this.mailbox.send(opcode, body);
    this.#run();
    this.poll();
    return this.messages.find((message) => message.opcode === opcode);
  }

  /** As {@link BareDriver.ask}, but the answer must have come. */
  answer(opcode: number, body?: Uint8Array): PfMessage {
    const message = this.ask(opcode, body);
    if (message === undefined) throw new Error(`no answer to request ${opcode}`);
    return message;
  }

  /** Bus master, memory, interrupts, mailbox, VERSION and GET_VF_RESOURCES. */
  negotiate(caps: number = IAVF_7_2_CAPS): VfResources {
    this.setBusMaster(true);
    this.mapMemory();
    this.enableInterrupts();
    return this.renegotiate(caps);
  }

  /** The same on a function that a reset left bare. */
  renegotiate(caps: number = IAVF_7_2_CAPS): VfResources {
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
    for (let queue = 0; queue < pairs; queue++) this.postAll(queue, length);
    this.answer(OP.CONFIG_VSI_QUEUES, this.queueConfig(pairs, length, bufferSize));
    this.answer(OP.ENABLE_QUEUES, this.select(2 ** pairs - 1));
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

  queueConfig(pairs: number, length = 64, bufferSize = 2048): Uint8Array {
    const { vsiId, rxdid, layout } = this;
    return buildQueueConfig({
      vsiId,
      pairs: Array.from({ length: pairs }, (_, queue) => ({
        tx: {
          vsiId,
          queue,
          length,
          headWriteBack: false,
          base: layout.iova + layout.txRing(queue),
          headAddress: 0,
        },
        rx: {
          vsiId,
          queue,
          length,
          headerSize: 0,
          split: false,
          bufferSize,
          maxPacket: 9000,
          crcDisable: 0,
          rxdid,
          flags: 0,
          base: layout.iova + layout.rxRing(queue),
          splitPosition: 0,
        },
      })),
    });
  }

  select(bitmap: number): Uint8Array {
    return buildQueueSelect({ vsiId: this.vsiId, rxQueues: bitmap, txQueues: bitmap });
  }

  /** Posts all descriptors of a ring but one, and writes the tail as Linux does. */
  postAll(queue: number, length = 64): void {
    for (let index = 0; index < length; index++) this.postRx(queue, index);
    this.write(rxTail(queue), length - 1);
  }

  /** Posts the receive descriptor at ring place `index`; the tail is written apart. */
  postRx(queue: number, index: number): void {
    const { data, layout } = this;
    const place = layout.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
    writeRxPosted(data, place, layout.iova + layout.rxBuffer(queue, index));
  }

  /** Writes a data descriptor for `bytes` bytes at ring place `index`; gives where it stands. */
  postTx(queue: number, index: number, bytes: number, command: number, tag = 0): number {
    const { data, layout } = this;
    const place = layout.txRing(queue) + index * TX_DESCRIPTOR_SIZE;
    writeTxData(data, place, layout.iova + layout.txBuffer(queue, index), bytes, command, tag);
    return place;
  }

  rxTail(queue: number, index: number): void {
    this.write(rxTail(queue), index);
  }

  txTail(queue: number, index: number): void {
    this.write(txTail(queue), index);
  }
}
