import { bodyError } from "../errors.ts";
import { expectLength, viewOf } from "./body.ts";

/** One traffic class of a GET_QOS_CAPS reply. */
export interface QosClass {
  readonly trafficClass: number;
  /** Bit n is user priority n. */
  readonly priorities: number;
  /** 0 strict. */
  readonly arbiter: number;
  readonly weight: number;
  /** Kbit/s; 0 is no limit. */
  readonly committed: number;
  readonly peak: number;
}

/** Reply of GET_QOS_CAPS (66): 4 + 40 per traffic class. */
export interface QosCaps {
  readonly vsiId: number;
  readonly classes: readonly QosClass[];
}

const CAPS_HEADER = 4;
const CLASS_SIZE = 40;

export function buildQosCaps({ vsiId, classes }: QosCaps): Uint8Array {
  const body = new Uint8Array(CAPS_HEADER + CLASS_SIZE * classes.length);
  const data = viewOf(body);
  data.setUint16(0, vsiId, true);
  data.setUint16(2, classes.length, true);
  for (const [index, entry] of classes.entries()) {
    const at = CAPS_HEADER + CLASS_SIZE * index;
    data.setUint8(at, entry.trafficClass);
    data.setUint8(at + 1, entry.priorities);
    data.setUint8(at + 2, entry.arbiter);
    data.setUint8(at + 3, entry.weight);
    // Type 0: rates of a shaper.
    data.setUint32(at + 8, entry.committed >>> 0, true);
    data.setUint32(at + 12, entry.peak >>> 0, true);
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseQosCaps(body: Uint8Array): QosCaps {
  const what = "GET_QOS_CAPS reply";
  if (body.length < CAPS_HEADER)
    throw bodyError(what, `${body.length} bytes end before its count`, {});
  const count = viewOf(body).getUint16(2, true);
  const data = expectLength(what, body, CAPS_HEADER + CLASS_SIZE * count);
  return {
    vsiId: data.getUint16(0, true),
    classes: Array.from({ length: count }, (_, index) => {
      const at = CAPS_HEADER + CLASS_SIZE * index;
      return {
        trafficClass: data.getUint8(at),
        priorities: data.getUint8(at + 1),
        arbiter: data.getUint8(at + 2),
        weight: data.getUint8(at + 3),
        committed: data.getUint32(at + 8, true),
        peak: data.getUint32(at + 12, true),
      };
    }),
  };
}

/** The rate of one queue. */
export interface QueueRate {
  readonly queue: number;
  readonly trafficClass: number;
  /** Kbit/s; 0 is no limit. */
  readonly committed: number;
  readonly peak: number;
}

/** CONFIG_QUEUE_BW (112): 4 + 12 per queue. */
export interface QueueRates {
  readonly vsiId: number;
  readonly rates: readonly QueueRate[];
}

const RATES_HEADER = 4;
const RATE_SIZE = 12;

export function buildQueueRates({ vsiId, rates }: QueueRates): Uint8Array {
  const body = new Uint8Array(RATES_HEADER + RATE_SIZE * rates.length);
  const data = viewOf(body);
  data.setUint16(0, vsiId, true);
  data.setUint16(2, rates.length, true);
  for (const [index, rate] of rates.entries()) {
    const at = RATES_HEADER + RATE_SIZE * index;
    data.setUint16(at, rate.queue, true);
    data.setUint8(at + 2, rate.trafficClass);
    data.setUint32(at + 4, rate.committed >>> 0, true);
    data.setUint32(at + 8, rate.peak >>> 0, true);
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseQueueRates(body: Uint8Array): QueueRates {
  const what = "CONFIG_QUEUE_BW";
  if (body.length < RATES_HEADER)
    throw bodyError(what, `${body.length} bytes end before its count`, {});
  const count = viewOf(body).getUint16(2, true);
  const data = expectLength(what, body, RATES_HEADER + RATE_SIZE * count);
  if (count === 0) throw bodyError(what, "it names no queue", {});
  return {
    vsiId: data.getUint16(0, true),
    rates: Array.from({ length: count }, (_, index) => {
      const at = RATES_HEADER + RATE_SIZE * index;
      return {
        queue: data.getUint16(at, true),
        trafficClass: data.getUint8(at + 2),
        committed: data.getUint32(at + 4, true),
        peak: data.getUint32(at + 8, true),
      };
    }),
  };
}

/** CONFIG_QUANTA (113): 12 bytes. */
export interface QuantaConfig {
  /** Bytes of a scheduling quantum. */
  readonly quanta: number;
  readonly firstQueue: number;
  readonly queues: number;
}

export function buildQuanta(config: QuantaConfig): Uint8Array {
  const body = new Uint8Array(12);
  const data = viewOf(body);
  data.setUint16(0, config.quanta, true);
  data.setUint16(8, config.firstQueue, true);
  data.setUint16(10, config.queues, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseQuanta(body: Uint8Array): QuantaConfig {
  const data = expectLength("CONFIG_QUANTA", body, 12);
  return {
    quanta: data.getUint16(0, true),
    firstQueue: data.getUint16(8, true),
    queues: data.getUint16(10, true),
  };
}
