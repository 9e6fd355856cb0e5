import type { GuestMemory } from "@vfmig/core";
import { type QueuePairConfig, RX_DESCRIPTOR_SIZE, TX_DESCRIPTOR_SIZE } from "@vfmig/iavf";
import { MAX_RING } from "./ring-memory.ts";

/** Most bytes of an Rx buffer that a 700-series queue context can say. */
const MAX_BUFFER = 16 * 1024 - 128;

/** Alignment of ring addresses in the queue contexts, in bytes. */
const RING_ALIGNMENT = 128;

/**
 * Why a pair cannot be relayed; undefined where it can. Whatever only the PF can judge is left to it.
 *
 * @param memory - where the rings must be reachable; absent where the guest's memory may come later
 */
export function judgePair(pair: QueuePairConfig, memory?: GuestMemory): string | undefined {
  const { tx, rx } = pair;
  if (tx.queue !== rx.queue) {
    return `one pair names Tx queue ${tx.queue} and Rx queue ${rx.queue}`;
  }
  if (tx.headWriteBack) {
    return "head write-back is asked for, which no descriptor relay can give";
  }
  if (rx.split || rx.headerSize !== 0) {
    return "header split is asked for, whose second buffer is not relayed";
  }
  if (rx.rxdid > 1) {
    return `Rx descriptor format ${rx.rxdid} is not the legacy one`;
  }
  if (rx.bufferSize < 1 || rx.bufferSize > MAX_BUFFER) {
    return `Rx buffers of ${rx.bufferSize} bytes are not between 1 and ${MAX_BUFFER}`;
  }
  return (
    judgeRing("Tx", tx.base, tx.length, TX_DESCRIPTOR_SIZE, 8, memory) ??
    judgeRing("Rx", rx.base, rx.length, RX_DESCRIPTOR_SIZE, 32, memory)
  );
}

function judgeRing(
  name: string,
  base: number,
  length: number,
  size: number,
  unit: number,
  memory: GuestMemory | undefined,
): string | undefined {
  if (length < unit || length > MAX_RING || length % unit !== 0) {
    return `the ${name} ring has ${length} descriptors: not a multiple of ${unit} up to ${MAX_RING}`;
  }
  if (base % RING_ALIGNMENT !== 0) {
    return `the ${name} ring at 0x${base.toString(16)} is not aligned to ${RING_ALIGNMENT} bytes`;
  }
  // The first and the last page: a ring with a hole in its middle waits at the hole.
  for (const at of [base, base + (length - 1) * size]) {
    if (memory !== undefined && memory.find(at, size, "write") === undefined) {
      return `the ${name} ring at 0x${base.toString(16)} is not in memory that this process can reach; back that range with shared memory (memfd)`;
    }
  }
  return undefined;
}
