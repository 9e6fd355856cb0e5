import { expectCount, expectLength, readAddress, viewOf, writeAddress } from "./body.ts";

/** Bytes before the first pair of CONFIG_VSI_QUEUES, and of one pair. */
export const QUEUE_CONFIG = { HEADER: 8, PAIR: 64, MAX_PAIRS: 16 } as const;

/** Byte offsets inside a pair of CONFIG_VSI_QUEUES. */
export const QUEUE_PAIR_FIELD = {
  TX_VSI: 0,
  TX_QUEUE: 2,
  TX_LENGTH: 4,
  TX_HEAD_WRITE_BACK: 6,
  TX_BASE: 8,
  TX_HEAD_ADDRESS: 16,
  RX_VSI: 24,
  RX_QUEUE: 26,
  RX_LENGTH: 28,
  RX_HEADER_SIZE: 32,
  RX_SPLIT: 34,
  RX_BUFFER_SIZE: 36,
  RX_MAX_PACKET: 40,
  RX_CRC_DISABLE: 44,
  RX_RXDID: 45,
  RX_FLAGS: 46,
  RX_BASE: 48,
  RX_SPLIT_POSITION: 56,
} as const;

export interface TxQueueConfig {
  readonly vsiId: number;
  readonly queue: number;
  /** Descriptors. */
  readonly length: number;
  readonly headWriteBack: boolean;
  readonly base: number;
  readonly headAddress: number;
}

export interface RxQueueConfig {
  readonly vsiId: number;
  readonly queue: number;
  /** Descriptors. */
  readonly length: number;
  readonly headerSize: number;
  readonly split: boolean;
  /** Bytes of each posted buffer. */
  readonly bufferSize: number;
  /** Bytes of the longest frame. */
  readonly maxPacket: number;
  readonly crcDisable: number;
  /** 0 or 1: legacy 32 bytes; 2: flexible NIC. */
  readonly rxdid: number;
  readonly flags: number;
  readonly base: number;
  readonly splitPosition: number;
}

export interface QueuePairConfig {
  readonly tx: TxQueueConfig;
  readonly rx: RxQueueConfig;
}

export interface QueueConfig {
  readonly vsiId: number;
  readonly pairs: readonly QueuePairConfig[];
}

/** Legacy length: 72 + 64 per pair, one pair more than counted. */
export function queueConfigLength(pairs: number): number {
  return 72 + QUEUE_CONFIG.PAIR * pairs;
}

/** CONFIG_VSI_QUEUES (6). */
export function buildQueueConfig(config: QueueConfig): Uint8Array {
  const body = new Uint8Array(queueConfigLength(config.pairs.length));
  const data = viewOf(body);
  data.setUint16(0, config.vsiId, true);
  data.setUint16(2, config.pairs.length, true);
  for (const [index, pair] of config.pairs.entries()) {
    const at = QUEUE_CONFIG.HEADER + QUEUE_CONFIG.PAIR * index;
    writeTx(data, at, pair.tx);
    writeRx(data, at, pair.rx);
  }
  return body;
}

function writeTx(data: DataView, at: number, tx: TxQueueConfig): void {
  data.setUint16(at + QUEUE_PAIR_FIELD.TX_VSI, tx.vsiId, true);
  data.setUint16(at + QUEUE_PAIR_FIELD.TX_QUEUE, tx.queue, true);
  data.setUint16(at + QUEUE_PAIR_FIELD.TX_LENGTH, tx.length, true);
  data.setUint16(at + QUEUE_PAIR_FIELD.TX_HEAD_WRITE_BACK, tx.headWriteBack ? 1 : 0, true);
  writeAddress(data, at + QUEUE_PAIR_FIELD.TX_BASE, tx.base);
  writeAddress(data, at + QUEUE_PAIR_FIELD.TX_HEAD_ADDRESS, tx.headAddress);
}

function writeRx(data: DataView, at: number, rx: RxQueueConfig): void {
  data.setUint16(at + QUEUE_PAIR_FIELD.RX_VSI, rx.vsiId, true);
  data.setUint16(at + QUEUE_PAIR_FIELD.RX_QUEUE, rx.queue, true);
  data.setUint32(at + QUEUE_PAIR_FIELD.RX_LENGTH, rx.length, true);
  data.setUint16(at + QUEUE_PAIR_FIELD.RX_HEADER_SIZE, rx.headerSize, true);
  data.setUint16(at + QUEUE_PAIR_FIELD.RX_SPLIT, rx.split ? 1 : 0, true);
  data.setUint32(at + QUEUE_PAIR_FIELD.RX_BUFFER_SIZE, rx.bufferSize, true);
  data.setUint32(at + QUEUE_PAIR_FIELD.RX_MAX_PACKET, rx.maxPacket, true);
  data.setUint8(at + QUEUE_PAIR_FIELD.RX_CRC_DISABLE, rx.crcDisable);
  data.setUint8(at + QUEUE_PAIR_FIELD.RX_RXDID, rx.rxdid);
  data.setUint8(at + QUEUE_PAIR_FIELD.RX_FLAGS, rx.flags);
  writeAddress(data, at + QUEUE_PAIR_FIELD.RX_BASE, rx.base);
  data.setInt32(at + QUEUE_PAIR_FIELD.RX_SPLIT_POSITION, rx.splitPosition, true);
}

/**
 * Reads CONFIG_VSI_QUEUES; ring lengths and addresses are not judged here.
 * @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY`
 */
export function parseQueueConfig(body: Uint8Array): QueueConfig {
  const count = expectCount(
    "CONFIG_VSI_QUEUES",
    body,
    2,
    QUEUE_CONFIG.MAX_PAIRS,
    queueConfigLength,
  );
  const data = viewOf(body);
  const pairs: QueuePairConfig[] = [];
  for (let index = 0; index < count; index++) {
    const at = QUEUE_CONFIG.HEADER + QUEUE_CONFIG.PAIR * index;
    pairs.push({ tx: readTx(data, at), rx: readRx(data, at) });
  }
  return { vsiId: data.getUint16(0, true), pairs };
}

function readTx(data: DataView, at: number): TxQueueConfig {
  return {
    vsiId: data.getUint16(at + QUEUE_PAIR_FIELD.TX_VSI, true),
    queue: data.getUint16(at + QUEUE_PAIR_FIELD.TX_QUEUE, true),
    length: data.getUint16(at + QUEUE_PAIR_FIELD.TX_LENGTH, true),
    headWriteBack: data.getUint16(at + QUEUE_PAIR_FIELD.TX_HEAD_WRITE_BACK, true) !== 0,
    base: readAddress(data, at + QUEUE_PAIR_FIELD.TX_BASE),
    headAddress: readAddress(data, at + QUEUE_PAIR_FIELD.TX_HEAD_ADDRESS),
  };
}

function readRx(data: DataView, at: number): RxQueueConfig {
  return {
    vsiId: data.getUint16(at + QUEUE_PAIR_FIELD.RX_VSI, true),
    queue: data.getUint16(at + QUEUE_PAIR_FIELD.RX_QUEUE, true),
    length: data.getUint32(at + QUEUE_PAIR_FIELD.RX_LENGTH, true),
    headerSize: data.getUint16(at + QUEUE_PAIR_FIELD.RX_HEADER_SIZE, true),
    split: data.getUint16(at + QUEUE_PAIR_FIELD.RX_SPLIT, true) !== 0,
    bufferSize: data.getUint32(at + QUEUE_PAIR_FIELD.RX_BUFFER_SIZE, true),
    maxPacket: data.getUint32(at + QUEUE_PAIR_FIELD.RX_MAX_PACKET, true),
    crcDisable: data.getUint8(at + QUEUE_PAIR_FIELD.RX_CRC_DISABLE),
    rxdid: data.getUint8(at + QUEUE_PAIR_FIELD.RX_RXDID),
    flags: data.getUint8(at + QUEUE_PAIR_FIELD.RX_FLAGS),
    base: readAddress(data, at + QUEUE_PAIR_FIELD.RX_BASE),
    splitPosition: data.getInt32(at + QUEUE_PAIR_FIELD.RX_SPLIT_POSITION, true),
  };
}

/** ENABLE_QUEUES (8), DISABLE_QUEUES (9) and the request of GET_STATS (15): 12 bytes. */
export interface QueueSelect {
  readonly vsiId: number;
  /** Bit n is queue n. */
  readonly rxQueues: number;
  readonly txQueues: number;
}

export function buildQueueSelect(select: QueueSelect): Uint8Array {
  const body = new Uint8Array(12);
  const data = viewOf(body);
  data.setUint16(0, select.vsiId, true);
  data.setUint32(4, select.rxQueues >>> 0, true);
  data.setUint32(8, select.txQueues >>> 0, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseQueueSelect(body: Uint8Array): QueueSelect {
  const data = expectLength("queue select", body, 12);
  return {
    vsiId: data.getUint16(0, true),
    rxQueues: data.getUint32(4, true),
    txQueues: data.getUint32(8, true),
  };
}

/** One element of CONFIG_IRQ_MAP. */
export interface VectorMap {
  readonly vsiId: number;
  /** MSI-X entry. */
  readonly vector: number;
  /** Bit n is queue n. */
  readonly rxQueues: number;
  readonly txQueues: number;
  readonly rxItr: number;
  readonly txItr: number;
}

const MAP_SIZE = 12;

/** Legacy length: 14 + 12 per map, one map more than counted. */
export function irqMapLength(maps: number): number {
  return 14 + MAP_SIZE * maps;
}

/** CONFIG_IRQ_MAP (7). */
export function buildIrqMap(maps: readonly VectorMap[]): Uint8Array {
  const body = new Uint8Array(irqMapLength(maps.length));
  const data = viewOf(body);
  data.setUint16(0, maps.length, true);
  for (const [index, map] of maps.entries()) {
    const at = 2 + MAP_SIZE * index;
    data.setUint16(at, map.vsiId, true);
    data.setUint16(at + 2, map.vector, true);
    data.setUint16(at + 4, map.rxQueues, true);
    data.setUint16(at + 6, map.txQueues, true);
    data.setUint16(at + 8, map.rxItr, true);
    data.setUint16(at + 10, map.txItr, true);
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseIrqMap(body: Uint8Array): VectorMap[] {
  const count = expectCount("CONFIG_IRQ_MAP", body, 0, 64, irqMapLength);
  const data = viewOf(body);
  return Array.from({ length: count }, (_, index) => {
    const at = 2 + MAP_SIZE * index;
    return {
      vsiId: data.getUint16(at, true),
      vector: data.getUint16(at + 2, true),
      rxQueues: data.getUint16(at + 4, true),
      txQueues: data.getUint16(at + 6, true),
      rxItr: data.getUint16(at + 8, true),
      txItr: data.getUint16(at + 10, true),
    };
  });
}
