import { RX_DONE, RX_END } from "./codecs.ts";
import type { GuestRing } from "./guest-ring.ts";
import type { RingPlace } from "./queue.ts";

/**
 * The first slot of the guest's own receive ring that does not show a frame. QEMU writes back before its head
 * moves; on silicon a head may run ahead of the write-backs.
 */
export function rxPlace(ring: GuestRing): RingPlace {
  let back = 0;
  while (back < ring.behind && isPosted(ring, ring.before(ring.head, back + 1))) back++;
  const slot = ring.before(ring.head, back);
  const last = ring.dword(ring.before(slot), 2);
  const half = back < ring.behind && (last & RX_DONE) !== 0 && (last & RX_END) === 0;
  return { slot, waiting: back > 0, half };
}

/** True for a descriptor as its driver posted it: an address, and no length of a frame yet. */
function isPosted(ring: GuestRing, slot: number): boolean {
  const [low, high, status, length] = ring.copy(slot);
  return status === 0 && length === 0 && (low !== 0 || high !== 0);
}
