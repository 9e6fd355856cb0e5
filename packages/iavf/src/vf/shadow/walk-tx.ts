import { txTail } from "../../registers.ts";
import {
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  TX_DTYPE,
  txAddress,
  txDone,
  txLow,
  writeTxData,
} from "../../descriptors/tx.ts";
import { waitUntil } from "@vfmig/core/toolkit";
import type { QueuePair } from "../queues/queue-pair.ts";
import type { PairParts } from "./pair-requests.ts";

/** Milliseconds for descriptors that send nothing. */
const LIMIT_MS = 100;
/** Bytes that a DUMMY names; none is sent. */
const DUMMY_LENGTH = 60;

/**
 * Brings the head of a Tx queue that was just started on the guest's ring from 0 to `to`, over DUMMY
 * descriptors in slots that are free. Those that were reported ask for a report, which restores them;
 * the rest is put back afterwards. False where the device did not take them.
 */
export async function walkTx(parts: PairParts, pair: QueuePair, to: number): Promise<boolean> {
  const { context, registers } = parts;
  const { memory } = context;
  const { base } = pair.config.tx;
  const bytes = to * TX_DESCRIPTOR_SIZE;
  const span = memory.find(base, bytes, "write");
  if (span === undefined) {
    return false;
  }
  const before = span.bytes.slice(base - span.base, base - span.base + bytes);
  // Backwards, so that a guest that looks never finds a frame done before an earlier one.
  for (let slot = to - 1; slot >= 0; slot--) {
    const at = base - span.base + slot * TX_DESCRIPTOR_SIZE;
    const reported = slot === to - 1 || (txLow(span.data, at) & TX_DTYPE.MASK) === TX_DTYPE.DONE;
    const command = TX_COMMAND.DUMMY | TX_COMMAND.EOP | (reported ? TX_COMMAND.RS : 0);
    writeTxData(span.data, at, pair.rings.tx.iova, DUMMY_LENGTH, command);
  }
  registers.write(txTail(pair.queue), to);
  const last = base + (to - 1) * TX_DESCRIPTOR_SIZE;
  const done = (): boolean => {
    const now = memory.find(last, TX_DESCRIPTOR_SIZE, "read");
    return now !== undefined && txDone(now.data, last - now.base);
  };
  const taken = await waitUntil(context.clock, done, LIMIT_MS, new AbortController().signal);
  restore(parts, pair, before);
  return taken;
}

/** Puts back what is still ours: a slot that the guest has written meanwhile is left to it. */
function restore({ context }: PairParts, pair: QueuePair, before: Uint8Array): void {
  const { base } = pair.config.tx;
  const span = context.memory.find(base, before.length, "write");
  if (span === undefined) {
    return;
  }
  for (let from = 0; from < before.length; from += TX_DESCRIPTOR_SIZE) {
    const at = base - span.base + from;
    if (txAddress(span.data, at) === pair.rings.tx.iova) {
      span.bytes.set(before.subarray(from, from + TX_DESCRIPTOR_SIZE), at);
    }
  }
}
