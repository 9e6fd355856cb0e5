import type { GuestMemory } from "@vfmig/core";
import { RXDID } from "../../descriptors/rx-flex.ts";
import { RX_DESCRIPTOR_SIZE } from "../../descriptors/rx.ts";
import { TX_DESCRIPTOR_SIZE } from "../../descriptors/tx.ts";
import { VF_CAP } from "../../virtchnl/capabilities.ts";
import type { QueuePairConfig } from "../../virtchnl/queues.ts";
import type { VfFamily } from "../family.ts";
import { MAX_RING } from "./ring-memory.ts";

/** Alignment of ring addresses in the queue contexts, in bytes. */
const RING_ALIGNMENT = 128;

/**
 * Why a pair cannot be relayed; undefined where it can. Whatever only the PF can judge is left to it.
 *
 * @param memory - where the rings must be reachable; absent where the guest's memory may come later
 */
export function judgePair(
  pair: QueuePairConfig,
  family: VfFamily,
  memory?: GuestMemory,
): string | undefined {
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
  if (!family.rxFormats.includes(rx.rxdid)) {
    return `Rx descriptor format ${rx.rxdid} is not one that is relayed (${family.rxFormats.join(", ")})`;
  }
  if (rx.bufferSize < 1 || rx.bufferSize > family.maxRxBuffer) {
    return `Rx buffers of ${rx.bufferSize} bytes are not between 1 and ${family.maxRxBuffer}`;
  }
  return (
    judgeRing("Tx", tx.base, tx.length, TX_DESCRIPTOR_SIZE, 8, memory) ??
    judgeRing("Rx", rx.base, rx.length, RX_DESCRIPTOR_SIZE, 32, memory)
  );
}

/** Why a pair may not have its Rx format, by the capability bits that the guest was granted. */
export function judgeFormat({ rx }: QueuePairConfig, caps: number): string | undefined {
  return rx.rxdid >= RXDID.FLEX_NIC && (caps & VF_CAP.RX_FLEX_DESC) === 0
    ? `Rx descriptor format ${rx.rxdid} was not granted`
    : undefined;
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
