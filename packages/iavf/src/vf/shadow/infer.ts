import type { GuestMemory } from "@vfmig/core";
import { RX_DESCRIPTOR_SIZE, RX_STATUS, rxAddress } from "../../descriptors/rx.ts";
import { TX_COMMAND, TX_DESCRIPTOR_SIZE, TX_DTYPE, txLow } from "../../descriptors/tx.ts";
import type { RxQueueConfig, TxQueueConfig } from "../../virtchnl/queues.ts";

/** What is known of a ring besides its content. */
export interface RingFacts {
  /** The guest's tail, as it wrote it. */
  readonly tail: number;
  /** Up to 7 slots more may be posted: an Rx tail was read from a device that drops its low 3 bits. */
  readonly rounded?: boolean;
  /**
   * The tail has passed the ring's end since the device began at slot 0; undefined where nobody saw
   * whether it has, so that both have to lead to the same place.
   */
  readonly lapped: boolean | undefined;
}

/** Where the device stands in a guest's ring. */
export interface RingPlace {
  /** The next slot that it would finish; a slot of the ring, also where there is a doubt. */
  readonly slot: number;
  /** Why there is no single answer. */
  readonly doubt?: string;
}

export interface RxPlace extends RingPlace {
  /** The guest may hold the beginning of a frame whose rest will never come. */
  readonly half: boolean;
}

/**
 * The device's place in a Tx ring: behind the last descriptor that it reported. That is the only
 * answer where the guest asks for a report of every frame, as iavf does: with any other, frames may
 * have gone out of which the ring says nothing.
 */
export function inferTx(
  memory: GuestMemory,
  ring: Pick<TxQueueConfig, "base" | "length">,
  facts: RingFacts,
): RingPlace {
  return withLap(facts, (known) => placeTx(memory, ring, known));
}

type Lapped = RingFacts & { readonly lapped: boolean };

function withLap<Place extends RingPlace>(
  { lapped, ...facts }: RingFacts,
  place: (known: Lapped) => Place,
): Place {
  if (lapped !== undefined) {
    return place({ ...facts, lapped });
  }
  const [first, later] = [place({ ...facts, lapped: false }), place({ ...facts, lapped: true })];
  const doubt =
    later.doubt ??
    first.doubt ??
    (first.slot === later.slot ? undefined : "nobody saw whether its tail has passed its end");
  return { ...later, ...(doubt !== undefined && { doubt }) };
}

function placeTx(
  memory: GuestMemory,
  ring: Pick<TxQueueConfig, "base" | "length">,
  { tail, lapped }: Lapped,
): RingPlace {
  const { length } = ring;
  if (tail >= length) {
    return { slot: 0, doubt: `its tail ${tail} is beyond its ${length} slots` };
  }
  let doubt: string | undefined;
  // Before its first lap the device has seen nothing but what lies before the tail.
  const posted = lapped ? length - 1 : tail;
  for (let back = 1; back <= posted; back++) {
    const slot = (tail - back + length) % length;
    const at = ring.base + slot * TX_DESCRIPTOR_SIZE;
    const span = memory.find(at, TX_DESCRIPTOR_SIZE, "read");
    if (span === undefined) {
      return { slot: 0, doubt: `its slot ${slot} is in memory that cannot be reached` };
    }
    const low = txLow(span.data, at - span.base);
    if ((low & TX_DTYPE.MASK) === TX_DTYPE.DONE) {
      return { slot: (slot + 1) % length, ...(doubt !== undefined && { doubt }) };
    }
    doubt ??= doubtOf(low, slot, back === 1);
  }
  doubt ??= lapped ? "none of its slots was ever reported" : undefined;
  return { slot: lapped ? tail : 0, ...(doubt !== undefined && { doubt }) };
}

/** What makes a slot that waits a doubtful one. */
function doubtOf(low: number, slot: number, last: boolean): string | undefined {
  const type = low & TX_DTYPE.MASK;
  if (type === TX_DTYPE.CONTEXT) {
    return undefined;
  }
  if (type !== TX_DTYPE.DATA) {
    return `its slot ${slot} has descriptor type ${type}`;
  }
  const ends = (low & TX_COMMAND.EOP) !== 0;
  if (ends && (low & TX_COMMAND.RS) === 0) {
    return `the frame that ends in its slot ${slot} asks for no report`;
  }
  return last && !ends
    ? `its tail stands in the middle of a frame, behind slot ${slot}`
    : undefined;
}

/** True where a frame in the ring asks for no report, so that a place in it could not be inferred. */
export function asksNoReport(
  memory: GuestMemory,
  ring: Pick<TxQueueConfig, "base" | "length">,
): boolean {
  for (let slot = 0; slot < ring.length; slot++) {
    const at = ring.base + slot * TX_DESCRIPTOR_SIZE;
    const span = memory.find(at, TX_DESCRIPTOR_SIZE, "read");
    const low = span === undefined ? 0 : txLow(span.data, at - span.base);
    const ends = (low & TX_DTYPE.MASK) === TX_DTYPE.DATA && (low & TX_COMMAND.EOP) !== 0;
    if (ends && (low & TX_COMMAND.RS) === 0) {
      return true;
    }
  }
  return false;
}

/**
 * The device's place in an Rx ring: backwards from the tail, behind the first slot that is done. Sound
 * for a driver that clears the status of the slot at its tail, and posts a slot only after it has taken
 * what was in it, as iavf does. Where nothing is done, the ring is either as full as it can be, or the
 * device has not received yet.
 */
export function inferRx(
  memory: GuestMemory,
  ring: Pick<RxQueueConfig, "base" | "length" | "bufferSize" | "maxPacket">,
  facts: RingFacts,
): RxPlace {
  return withLap(facts, (known) => placeRx(memory, ring, known));
}

function placeRx(
  memory: GuestMemory,
  ring: Pick<RxQueueConfig, "base" | "length" | "bufferSize" | "maxPacket">,
  facts: Lapped,
): RxPlace {
  const { tail, lapped } = facts;
  const { length } = ring;
  if (tail >= length) {
    return { slot: 0, half: false, doubt: `its tail ${tail} is beyond its ${length} slots` };
  }
  // The device uses tails in steps of eight: what is behind such a step it has never looked at.
  const seen = tail & ~7;
  const posted = lapped ? length - 1 : seen;
  for (let back = 1; back <= posted; back++) {
    const slot = (seen - back + length) % length;
    const at = ring.base + slot * RX_DESCRIPTOR_SIZE;
    const span = memory.find(at, RX_DESCRIPTOR_SIZE, "read");
    if (span === undefined) {
      const doubt = `its slot ${slot} is in memory that cannot be reached`;
      return { slot: 0, half: false, doubt };
    }
    const status = span.data.getUint32(at - span.base + 8, true);
    if ((status & RX_STATUS.DD) !== 0) {
      return { slot: (slot + 1) % length, half: (status & RX_STATUS.EOP) === 0 };
    }
  }
  return fullRing(memory, ring, facts);
}

/**
 * Nothing is done. In its first lap the device has not received yet, or else every slot but one is
 * posted, and it stands at the one behind that. The one is at the tail, or further on where the guest is
 * about to write its tail: it posts slots first, and has cleared the next one, which holds no buffer.
 */
function fullRing(
  memory: GuestMemory,
  ring: Pick<RxQueueConfig, "base" | "length" | "bufferSize" | "maxPacket">,
  { tail, lapped, rounded = false }: Lapped,
): RxPlace {
  const [found, second] = slotsWithoutBuffer(memory, ring);
  const gap = found ?? tail;
  const atTail = gap === tail || (rounded && gap > tail && gap <= tail + 7);
  if (!lapped && (second !== undefined || atTail)) {
    return { slot: 0, half: false };
  }
  const place = {
    slot: (gap + 1) % ring.length,
    // The guest has cleared the slot that would say so, and may have taken parts of a long frame.
    half: ring.maxPacket > ring.bufferSize,
  };
  if (found === undefined && rounded) {
    const doubt =
      "nothing in it is done, and nothing tells which slot behind its tail is the last posted";
    return { ...place, doubt };
  }
  if (second === undefined) {
    return place;
  }
  const doubt = `nothing in it is done, and its slots ${gap} and ${second} hold no buffer, so that it is not full`;
  return { ...place, doubt };
}

/** The first two. */
function slotsWithoutBuffer(
  memory: GuestMemory,
  ring: Pick<RxQueueConfig, "base" | "length" | "bufferSize">,
): number[] {
  const found: number[] = [];
  for (let slot = 0; slot < ring.length && found.length < 2; slot++) {
    const at = ring.base + slot * RX_DESCRIPTOR_SIZE;
    const span = memory.find(at, RX_DESCRIPTOR_SIZE, "read");
    const buffer = span === undefined ? -1 : rxAddress(span.data, at - span.base);
    // No driver posts address 0, which in many guests is memory.
    if (buffer === 0 || memory.find(buffer, ring.bufferSize, "write") === undefined) {
      found.push(slot);
    }
  }
  return found;
}
