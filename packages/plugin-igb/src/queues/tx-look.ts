import {
  contextIndex,
  CONTEXTS,
  isContext,
  TX,
  TX_DONE,
  TX_PAYLOAD_SHIFT,
  type TxContext,
} from "./codecs.ts";
import type { GuestRing } from "./guest-ring.ts";
import type { RingPlace } from "./queue.ts";

/** Dword 3 of a data descriptor: checksums that the context says how to insert. */
const CHECKSUMS = 0x300;

/** What a transmit ring tells of the offload contexts that its device holds. */
export interface TxContexts {
  /** The last of each index that the device has had; undefined where the ring shows none. */
  readonly contexts: readonly TxContext[];
  /** Why there may be one that the ring does not show any more. */
  readonly doubt: string | undefined;
}

/**
 * Looks for the contexts of a device that has worked on the guest's own ring, and does not say what it holds.
 * From the oldest slot to the tail: what the device has had, and then what it will have.
 *
 * A driver that puts a context before each packet that needs one, as igbvf does, needs none of them. Of one
 * that goes on using a context the last one is found, or its packets without one are: that is the doubt. Only
 * a context that no packet has used for the ring's whole length goes unseen.
 */
export function lookForContexts(ring: GuestRing): TxContexts {
  const contexts: TxContext[] = Array.from({ length: CONTEXTS });
  let had: readonly TxContext[] = contexts;
  const missing = new Set<number>();
  const unsent = (ring.tail - ring.head + ring.count) % ring.count;
  for (let left = ring.count; left > 0; left--) {
    if (left === unsent) had = [...contexts];
    const slot = ring.before(ring.tail, left);
    const command = ring.dword(slot, 2);
    const index = contextIndex(ring.dword(slot, 3));
    if (isContext(command)) {
      contexts[index] = ring.copy(slot);
    } else if (usesContext(command, ring.dword(slot, 3)) && contexts[index] === undefined) {
      missing.add(index);
    }
  }
  if (unsent === 0) had = [...contexts];
  const index = [...missing].find((each) => had[each] === undefined);
  return {
    contexts: had,
    doubt:
      index === undefined
        ? undefined
        : `packets in it use offload context ${index}, which was set so long ago that the ring does not show it`,
  };
}

function usesContext(command: number, dword: number): boolean {
  return isData(command) && ((dword & CHECKSUMS) !== 0 || (command & (TX.VLE | TX.TSE)) !== 0);
}

/** True where the last descriptor that the guest posted leaves a packet without its end. */
export function endsInPacket(ring: GuestRing): boolean {
  const command = ring.dword(ring.before(ring.tail), 2);
  return isData(command) && (command & TX.EOP) === 0;
}

/**
 * The first slot of the packets whose report the guest still waits for. QEMU reports before its head moves; on
 * silicon a head may be ahead of the reports, and those that are missing are of the last packets before it.
 */
export function txPlace(ring: GuestRing): RingPlace {
  const { head, behind } = ring;
  let slot = head;
  /** The first slot of the packet that is looked at, as far as it was seen, and whether it lacks its report. */
  let first = head;
  let lacks = false;
  for (let back = 1; back <= behind; back++) {
    const at = ring.before(head, back);
    const command = ring.dword(at, 2);
    if (!isContext(command) && !isData(command)) break;
    if (isData(command) && (command & TX.EOP) !== 0) {
      if (lacks) slot = first;
      const asked = (command & TX.RS) !== 0;
      lacks = asked && !isReported(ring.dword(at, 3));
      if (asked && !lacks) break;
    }
    first = at;
  }
  return { slot: lacks ? first : slot, waiting: lacks || slot !== head, half: false };
}

/** igbvf clears all of the last dword of what it has taken back. */
function isReported(status: number): boolean {
  return (status & TX_DONE) !== 0 || status >>> TX_PAYLOAD_SHIFT === 0;
}

function isData(command: number): boolean {
  return (command & TX.DEXT) !== 0 && (command & TX.TYPE_MASK) === TX.DATA;
}
