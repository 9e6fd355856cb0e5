import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { askedHalves, enabledHalves, NO_HALF, type PairParts } from "./pair-requests.ts";

/**
 * Part of the Rx ring before its end in which a pair may be stopped in the ordinary way. It is what a
 * burst may take before anybody looks; what is left of it ends as broken frames.
 */
const RX_NEAR = 1 / 2;

/** How a pair is judged. */
export interface Patience {
  /** The ordinary way was waited for long enough. */
  readonly over: boolean;
  /** Nothing is received. */
  readonly rxQuiet: boolean;
  /** Nothing was sent for a while. */
  readonly txQuiet: boolean;
  /** DUMMY descriptors may be used. */
  readonly dummies: boolean;
}

/**
 * Halves of a relayed pair that can go back to the guest's rings now; none where none can.
 *
 * Rx: when the device has come to the end of the guest's ring, or near it; once patience is over, from
 * anywhere, as long as the device does not pass the end before it stops. The slots that are left end as
 * broken frames, which the guest drops. Tx: at the end of the guest's ring, or where the way from slot 0
 * is short and lies in free slots, while the guest sends nothing.
 */
export function readyHalves(parts: PairParts, pair: QueuePair, patience: Patience): Halves {
  const enabled = enabledHalves(parts, pair);
  const asked = askedHalves(parts, pair);
  const stands = parts.shadow.stranded.has(pair);
  if (stands || parts.queues.configuring || enabled.tx !== asked.tx || enabled.rx !== asked.rx) {
    return NO_HALF;
  }
  const relayed = {
    tx: pair.half.tx.mode === "relay",
    rx: pair.half.rx.mode === "relay",
  };
  const tx = relayed.tx && (!enabled.tx || txReady(pair, patience));
  const rx = relayed.rx && (!enabled.rx || rxReady(parts, pair, patience));
  if (parts.family.halvesApart) {
    return { tx, rx };
  }
  return { tx: tx && rx, rx: tx && rx };
}

function txReady(pair: QueuePair, { txQuiet, dummies }: Patience): boolean {
  // A guest that sends would fill its ring while the pair stands still: it comes to the wrap itself.
  const mayWalk = dummies && txQuiet && pair.tx.idle;
  return txIsAtWrap(pair) || (mayWalk && pair.tx.position.complete <= pair.config.tx.length / 2);
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
  const tail = queues.tails.tx(pair.queue);
  return to === 0 || (to <= length / 2 && tail >= to && tail <= (7 * length) / 8);
}

function rxReady(parts: PairParts, pair: QueuePair, { over, rxQuiet }: Patience): boolean {
  return rxIsNear(pair) || (over && rxCanStop(parts, pair, rxQuiet));
}

/**
 * Rx can stop where it is: the slots up to the ring's end are posted, and the device will not pass the
 * end before it stops.
 */
function rxCanStop(parts: PairParts, pair: QueuePair, quiet: boolean): boolean {
  const way = rxWay(parts, pair);
  const held = pair.rx.toWrap >= 0;
  return way >= 0 && (quiet || held || way >= pair.config.rx.length / 4);
}

/** Rx has come near the end of the guest's ring and gets no further: it stops soon or is let go. */
export function rxIsNear(pair: QueuePair): boolean {
  const { toWrap } = pair.rx;
  return toWrap >= 0 && toWrap <= pair.config.rx.length * RX_NEAR;
}

/** Slots between the guest's place and the end of its Rx ring; -1 where it has not posted them all. */
export function rxWay({ queues }: PairParts, pair: QueuePair): number {
  const { length } = pair.config.rx;
  const { complete } = pair.rx.position;
  const posted = (queues.tails.rx(pair.queue) - complete + length) % length;
  const way = (length - complete) % length;
  return way <= posted ? way : -1;
}
