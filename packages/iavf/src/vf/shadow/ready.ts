import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { askedHalves, enabledHalves, NO_HALF, type PairParts } from "./pair-requests.ts";

/**
 * Part of the Rx ring before its end in which a pair may be stopped in the ordinary way. It is what a
 * burst may take before anybody looks; what is left of it ends as broken frames.
 */
const RX_NEAR = 1 / 4;

/** How a pair is judged. */
export interface Patience {
  /** The ordinary way was waited for long enough. */
  readonly over: boolean;
  /** Nothing is received. */
  readonly quiet: boolean;
  /** DUMMY descriptors may be used. */
  readonly dummies: boolean;
}

/**
 * Halves of a relayed pair that can go back to the guest's rings now; none where none can.
 *
 * Rx: when the device has come to the end of the guest's ring, or near it; once patience is over, from
 * anywhere in its second half, and from anywhere at all where nothing is received. The slots that are left end as
 * broken frames, which the guest drops. Tx: at the end of the guest's ring, or where the way from slot 0
 * is short and lies in free slots, while the guest sends nothing.
 */
export function readyHalves(parts: PairParts, pair: QueuePair, patience: Patience): Halves {
  const enabled = enabledHalves(parts, pair);
  const asked = askedHalves(parts, pair);
  if (parts.queues.configuring || enabled.tx !== asked.tx || enabled.rx !== asked.rx) {
    return NO_HALF;
  }
  const relayed = {
    tx: pair.half.tx.mode === "relay",
    rx: pair.half.rx.mode === "relay",
  };
  const tx = relayed.tx && (!enabled.tx || txReady(parts, pair, patience));
  const rx = relayed.rx && (!enabled.rx || rxReady(parts, pair, patience));
  if (parts.family.halvesApart) {
    return { tx, rx };
  }
  return { tx: tx && rx, rx: tx && rx };
}

function txReady(parts: PairParts, pair: QueuePair, { over, dummies }: Patience): boolean {
  if (txIsAtWrap(pair)) {
    return true;
  }
  // Where halves go apart, Tx waits for its own wrap first.
  const mayWalk = dummies && (over || !parts.family.halvesApart);
  const { length } = pair.config.tx;
  const { complete } = pair.tx.position;
  // A guest that has frames waiting fills its ring while the pair stands still.
  return mayWalk && pair.tx.idle && complete <= length / 2;
}

/** All that the guest has posted up to its ring's end was sent, and nothing behind it. */
export function txIsAtWrap(pair: QueuePair): boolean {
  return pair.tx.position.complete === 0 && pair.tx.outstanding === 0;
}

/**
 * The way from slot 0 to `to` is at most half of the ring and lies in free slots, and the guest will
 * not reach them soon: an eighth of the ring is between its tail and the ring's end.
 */
export function txWayIsShort({ queues }: PairParts, pair: QueuePair, to: number): boolean {
  const { length } = pair.config.tx;
  const tail = queues.txTail(pair.queue);
  return to === 0 || (to <= length / 2 && tail >= to && tail <= (7 * length) / 8);
}

function rxReady(parts: PairParts, pair: QueuePair, { over, quiet }: Patience): boolean {
  return rxIsNear(pair) || (over && rxCanStop(parts, pair, quiet));
}

/**
 * Rx can stop where it is: the slots up to the ring's end are posted, and those behind it are enough
 * for what arrives until the guest has posted again.
 */
export function rxCanStop(parts: PairParts, pair: QueuePair, quiet: boolean): boolean {
  const way = rxWay(parts, pair);
  return way >= 0 && (quiet || way <= pair.config.rx.length / 2);
}

/** Rx is so near the end of the guest's ring that it has to be decided now whether it stops there. */
export function rxIsNear(pair: QueuePair): boolean {
  const { toWrap } = pair.rx;
  return toWrap >= 0 && toWrap <= pair.config.rx.length * RX_NEAR;
}

/** Slots between the guest's place and the end of its Rx ring; -1 where it has not posted them all. */
export function rxWay({ queues }: PairParts, pair: QueuePair): number {
  const { length } = pair.config.rx;
  const { complete } = pair.rx.position;
  const posted = (queues.rxTail(pair.queue) - complete + length) % length;
  const way = (length - complete) % length;
  return way <= posted ? way : -1;
}
