import {
  RXDID,
  VIRTCHNL_STATUS,
  parseIrqMap,
  parseQueueConfig,
  parseQueueSelect,
  type QueuePairConfig,
  type RxQueueConfig,
  type TxQueueConfig,
  type VectorMap,
} from "@vfmig/iavf";
import { MAX_RING } from "../../intel-vf/tx-packet.ts";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";

/** Limits of a receive context, from the PF's checks. */
const RX_LIMIT = {
  headerSize: 2 * 1024 - 64,
  bufferSize: 16 * 1024 - 128,
  minPacket: 64,
  maxPacket: 16 * 1024,
} as const;

/** Queues of a VF, and so bits of a queue bitmap. */
const MAX_QUEUES = 16;

/** The PF waited in vain for a queue to change state. */
const TIMEOUT = -37;

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

/** Each element is checked, then written (Rx, then Tx), so a bad one leaves those before it configured. */
export const configQueues: PfHandler = {
  run(hardware, body) {
    const { vsiId, pairs } = parseQueueConfig(body);
    if (vsiId !== hardware.options.vsiId) return PARAM;
    for (const pair of pairs) if (!configurePair(hardware, vsiId, pair)) return PARAM;
    return SUCCESS;
  },
};

function configurePair(hardware: PfHardware, vsiId: number, { tx, rx }: QueuePairConfig): boolean {
  const known = tx.queue < hardware.state.queuePairs && rx.queue === tx.queue;
  if (!known || tx.vsiId !== vsiId || rx.vsiId !== vsiId) return false;
  if (!rxValid(rx)) return false;
  hardware.receiver.cutOff(hardware.receiver.queues[rx.queue]!.configure(rx, RXDID.LEGACY_32));
  if (!txValid(tx)) return false;
  hardware.transmitter.queues[tx.queue]!.configure(tx);
  return true;
}

function rxValid(rx: RxQueueConfig): boolean {
  return (
    rx.length % 32 === 0 &&
    rx.length <= MAX_RING &&
    (!rx.split || rx.headerSize <= RX_LIMIT.headerSize) &&
    rx.bufferSize <= RX_LIMIT.bufferSize &&
    rx.maxPacket < RX_LIMIT.maxPacket &&
    rx.maxPacket >= RX_LIMIT.minPacket
  );
}

/** Head write-back is not offered by this PF (ice refuses it likewise; no driver asks for it). */
function txValid(tx: TxQueueConfig): boolean {
  return tx.length % 8 === 0 && tx.length <= MAX_RING && !tx.headWriteBack;
}

export const configIrqMap: PfHandler = {
  run(hardware, body) {
    const { vectors, vsiId } = hardware.options;
    const maps = parseIrqMap(body);
    if (maps.length > vectors) return PARAM;
    for (const map of maps) {
      if (map.vector >= vectors || map.vsiId !== vsiId) return PARAM;
      if (!within(map.rxQueues, hardware) || !within(map.txQueues, hardware)) return PARAM;
      link(hardware, map);
    }
    return SUCCESS;
  },
};

function within(bitmap: number, { state }: PfHardware): boolean {
  return bitmap < 2 ** state.queuePairs;
}

/** Makes the vector's list of causes exactly these queues. */
function link({ receiver, transmitter }: PfHardware, map: VectorMap): void {
  const assign = (
    queue: { readonly index: number; vector: number; itr: number },
    bitmap: number,
    itr: number,
  ): void => {
    if (((bitmap >>> queue.index) & 1) === 1) {
      queue.vector = map.vector;
      queue.itr = itr & 3;
    } else if (queue.vector === map.vector) {
      queue.vector = -1;
    }
  };
  for (const queue of receiver.queues) assign(queue, map.rxQueues, map.rxItr);
  for (const queue of transmitter.queues) assign(queue, map.txQueues, map.txItr);
}

export const enableQueues: PfHandler = {
  tellsLink: true,
  run: (hardware, body) => select(hardware, body, true),
};

export const disableQueues: PfHandler = {
  run: (hardware, body) => select(hardware, body, false),
};

/** By bitmap, Tx first. A queue without a usable context never comes up, which the PF sees as a timeout. */
function select(hardware: PfHardware, body: Uint8Array, on: boolean): number {
  const { options, receiver, transmitter, state } = hardware;
  const { vsiId, rxQueues, txQueues } = parseQueueSelect(body);
  const limit = 2 ** MAX_QUEUES;
  if (vsiId !== options.vsiId || (rxQueues | txQueues) === 0) return PARAM;
  if (rxQueues >= limit || txQueues >= limit) return PARAM;
  for (const queue of transmitter.queues.slice(0, state.queuePairs)) {
    if (((txQueues >>> queue.index) & 1) === 0 || queue.enabled === on) continue;
    if (!on) queue.disable();
    else if (queue.usable) queue.enable();
    else return TIMEOUT;
  }
  for (const queue of receiver.queues.slice(0, state.queuePairs)) {
    if (((rxQueues >>> queue.index) & 1) === 0 || queue.enabled === on) continue;
    if (!on) receiver.cutOff(queue.disable());
    else if (queue.usable) queue.enable();
    else return TIMEOUT;
  }
  return SUCCESS;
}
