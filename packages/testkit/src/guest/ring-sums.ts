import type { GuestQueueIndices } from "./options.ts";
import type { RxRing } from "./rx-ring.ts";
import type { TxRing } from "./tx-ring.ts";

/** Sums over all rings of a guest. */
export interface QueueCounters {
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txFrames: number;
  readonly txBytes: number;
  readonly txCompleted: number;
  readonly txDropped: number;
}

export function countersOf(tx: readonly TxRing[], rx: readonly RxRing[]): QueueCounters {
  return {
    rxFrames: sum(rx, (ring) => ring.packets),
    rxBytes: sum(rx, (ring) => ring.bytes),
    rxErrors: sum(rx, (ring) => ring.errors),
    txFrames: sum(tx, (ring) => ring.packets),
    txBytes: sum(tx, (ring) => ring.bytes),
    txCompleted: sum(tx, (ring) => ring.completed),
    txDropped: sum(tx, (ring) => ring.dropped),
  };
}

export function indicesOf(tx: readonly TxRing[], rx: readonly RxRing[]): GuestQueueIndices[] {
  return tx.map(({ queue, nextToUse, nextToClean }, i) => ({
    queue,
    txNextToUse: nextToUse,
    txNextToClean: nextToClean,
    rxNextToUse: rx[i]?.nextToUse ?? 0,
    rxNextToClean: rx[i]?.nextToClean ?? 0,
  }));
}

function sum<Ring>(rings: readonly Ring[], of: (ring: Ring) => number): number {
  return rings.reduce((total, ring) => total + of(ring), 0);
}
