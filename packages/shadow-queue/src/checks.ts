import { type GuestMemory, VfmigError } from "@vfmig/core";
import type { RelayOptions } from "./options.ts";

/** Rings longer than this are refused; 13 bits of tail on the devices known. */
const MAX_DESCRIPTORS = 8192;

function fits(count: number): boolean {
  return Number.isInteger(count) && count >= 2 && count <= MAX_DESCRIPTORS;
}

/** @throws VfmigError `ERR_VFMIG_SHADOW_RING` where rings and codec do not fit together */
export function checkRings(options: RelayOptions): void {
  const { codec, guest, ring } = options;
  const size = codec.descriptorSize;
  if (!Number.isInteger(Math.log2(size)) || size < 4) {
    throw ringError(`a descriptor of ${size} bytes is not a power of two from 4`, { size });
  }
  if (!fits(guest.count) || !fits(ring.count)) {
    throw ringError(
      `rings of ${guest.count} (guest) and ${ring.count} (private) descriptors are not between 2 and ${MAX_DESCRIPTORS}`,
      { guest: guest.count, private: ring.count },
    );
  }
  if (!Number.isSafeInteger(guest.base) || guest.base < 0 || guest.base % size !== 0) {
    throw ringError(`the guest's ring at ${guest.base} is not aligned to ${size} bytes`, {
      base: guest.base,
    });
  }
  if (ring.data.byteLength < ring.count * size) {
    throw ringError(
      `${ring.data.byteLength} bytes of private memory do not hold ${ring.count} descriptors of ${size} bytes`,
      { bytes: ring.data.byteLength, count: ring.count },
    );
  }
}

/** @throws VfmigError `ERR_VFMIG_RING_POSITION` where `slot` is no slot of a ring of `count` */
export function checkSlot(what: string, slot: number, count: number): void {
  if (!Number.isInteger(slot) || slot < 0 || slot >= count) {
    throw new VfmigError(
      "ERR_VFMIG_RING_POSITION",
      `the ${what} ${slot} is not a slot of a ring of ${count} descriptors; the relay was not started`,
      { layer: "plugin:shadow-queue", details: { what, slot, count } },
    );
  }
}

function ringError(problem: string, details: Readonly<Record<string, unknown>>): VfmigError {
  return new VfmigError("ERR_VFMIG_SHADOW_RING", `a queue cannot be shadowed: ${problem}`, {
    layer: "plugin:shadow-queue",
    details,
  });
}

/** True where all of `[address, address + length)` is guest memory, across adjacent mappings. */
export function reachable(
  memory: GuestMemory,
  address: number,
  length: number,
  access: "read" | "write",
): boolean {
  let at = address;
  const end = address + length;
  while (at < end) {
    const span = memory.find(at, 1, access);
    if (span === undefined) {
      return false;
    }
    at = span.base + span.size;
  }
  return true;
}
