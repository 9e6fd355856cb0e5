import type { GuestMemory } from "@vfmig/core";
import { TX_DESCRIPTOR_SIZE } from "../../descriptors/tx.ts";
import type { RxQueueConfig, TxQueueConfig } from "../../virtchnl/queues.ts";
import type { HalfState } from "../queues/halves.ts";
import { inferRx, inferTx } from "../shadow/infer.ts";

/** What is looked at of a pair. */
export interface LapPair {
  readonly config: {
    readonly tx: Pick<TxQueueConfig, "base" | "length">;
    readonly rx: Pick<RxQueueConfig, "base" | "length" | "bufferSize" | "maxPacket">;
  };
  readonly half: { readonly tx: HalfState; readonly rx: HalfState };
}

/**
 * Makes sure, before nobody sees the guest's Tx tails any more, that its ring will tell of a lap; false
 * where it will not yet.
 *
 * Either the last slot was never used, so that it will be by a guest that passes it; or the device's
 * place is the same with a lap and without one. Then it remains so, and the ring may be taken for one
 * that was lapped: what is found between slot 0 and the tail was put there in this lap, and where
 * nothing is, the slot before slot 0 says that the device begins there, as it does now.
 */
export function txLapWillShow(
  memory: GuestMemory,
  { config, half }: LapPair,
  tail: number,
): boolean {
  const { tx } = half;
  if (tx.lapped !== true && lastTxIsBlank(memory, config.tx)) {
    tx.lapped = false;
    return true;
  }
  return settle(tx, () => inferTx(memory, config.tx, { tail, lapped: undefined }));
}

/**
 * As {@link txLapWillShow}, for Rx. A ring of which all but the last slot is posted from the start, as iavf
 * does it, has one place with a lap and without.
 */
export function rxLapWillShow(
  memory: GuestMemory,
  { config, half }: LapPair,
  tail: number,
): boolean {
  const facts = { tail, rounded: true, lapped: undefined };
  return settle(half.rx, () => inferRx(memory, config.rx, facts));
}

function settle(half: HalfState, infer: () => { readonly doubt?: string }): boolean {
  if (half.lapped !== true && infer().doubt === undefined) {
    half.lapped = true;
  }
  return half.lapped === true;
}

/** After nobody saw the tails for a while: a ring that had not been lapped has been, if its end was used. */
export function noteTxLap(memory: GuestMemory, { config, half }: LapPair): void {
  if (half.tx.lapped === false) {
    half.tx.lapped = !lastTxIsBlank(memory, config.tx);
  }
}

function lastTxIsBlank(memory: GuestMemory, ring: Pick<TxQueueConfig, "base" | "length">): boolean {
  const at = ring.base + (ring.length - 1) * TX_DESCRIPTOR_SIZE;
  const span = memory.find(at, TX_DESCRIPTOR_SIZE, "read");
  if (span === undefined) {
    return false;
  }
  for (let byte = 0; byte < TX_DESCRIPTOR_SIZE; byte += 4) {
    if (span.data.getUint32(at - span.base + byte, true) !== 0) {
      return false;
    }
  }
  return true;
}
