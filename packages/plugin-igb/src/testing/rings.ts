import { createDmaMap, createGuestMemory } from "@vfmig/core";
import { GuestRing } from "../queues/guest-ring.ts";

/** Dwords of one descriptor; absent ones are 0. */
export type Slot = readonly number[];

/** A guest's own ring whose slots are `slots`, and a device at `head` that was told `tail`. */
export function guestRing(slots: readonly Slot[], head: number, tail: number): GuestRing {
  const bytes = new Uint8Array(4096);
  const data = new DataView(bytes.buffer);
  for (const [slot, dwords] of slots.entries()) {
    for (const [at, dword] of dwords.entries()) {
      data.setUint32(16 * slot + 4 * at, dword >>> 0, true);
    }
  }
  const map = createDmaMap();
  map.add({ iova: 0n, size: 4096n, read: true, write: true, memory: { bytes } });
  const settings = { base: 0, count: slots.length, head, tail };
  return new GuestRing(createGuestMemory(map), settings);
}
