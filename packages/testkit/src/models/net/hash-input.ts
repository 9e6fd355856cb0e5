import { HASH_TYPE, type FrameClass } from "./classify.ts";

/** Header fields that a hash may take in; SCTP_TAG is the verification tag. */
export const HASH_FIELD = {
  SOURCE: 1,
  TARGET: 2,
  SOURCE_PORT: 4,
  TARGET_PORT: 8,
  SCTP_TAG: 16,
} as const;

/** Addresses and ports. */
export const HASH_FIELDS_ALL: number =
  HASH_FIELD.SOURCE | HASH_FIELD.TARGET | HASH_FIELD.SOURCE_PORT | HASH_FIELD.TARGET_PORT;

/** Offset of the source address in each IP header, and an address's length. */
const ADDRESSES = { 4: { at: 12, length: 4 }, 6: { at: 8, length: 16 } } as const;

const PORT = 2;
const TAG = 4;

/**
 * Copies what the hardware hashes for this frame's type to `into`: those of `fields` that the type has,
 * in the order of the frame, or the ethertype of other frames. Returns the number of bytes.
 *
 * @param symmetric - source and target are combined, so that both directions hash alike
 */
export function hashInput(
  frame: Uint8Array,
  found: FrameClass,
  fields: number,
  symmetric: boolean,
  into: Uint8Array,
): number {
  if (found.ipVersion !== 4 && found.ipVersion !== 6) {
    into[0] = found.etherType >> 8;
    into[1] = found.etherType & 0xff;
    return 2;
  }
  const { at, length } = ADDRESSES[found.ipVersion];
  const source = found.l3 + at;
  let end = pair(frame, source, length, fields & 3, symmetric, into, 0);
  if (!hasPorts(found.hashType)) return end;
  end = pair(frame, found.l4, PORT, (fields >> 2) & 3, symmetric, into, end);
  if ((fields & HASH_FIELD.SCTP_TAG) === 0 || !isSctp(found.hashType)) return end;
  return copy(frame, found.l4 + 2 * PORT, TAG, into, end);
}

/** A source field of `length` bytes at `at`, and the target field behind it; bit 0 and 1 of `which`. */
function pair(
  frame: Uint8Array,
  at: number,
  length: number,
  which: number,
  symmetric: boolean,
  into: Uint8Array,
  end: number,
): number {
  if (which === 3 && symmetric) {
    for (let index = 0; index < length; index++) {
      const mixed = frame[at + index]! ^ frame[at + length + index]!;
      into[end + index] = mixed;
      into[end + length + index] = mixed;
    }
    return end + 2 * length;
  }
  let to = end;
  if ((which & 1) !== 0) to = copy(frame, at, length, into, to);
  if ((which & 2) !== 0) to = copy(frame, at + length, length, into, to);
  return to;
}

function copy(
  frame: Uint8Array,
  at: number,
  length: number,
  into: Uint8Array,
  end: number,
): number {
  for (let index = 0; index < length; index++) into[end + index] = frame[at + index]!;
  return end + length;
}

function isSctp(hashType: number): boolean {
  return hashType === HASH_TYPE.IPV4_SCTP || hashType === HASH_TYPE.IPV6_SCTP;
}

function hasPorts(hashType: number): boolean {
  switch (hashType) {
    case HASH_TYPE.IPV4_UDP:
    case HASH_TYPE.IPV4_TCP:
    case HASH_TYPE.IPV6_UDP:
    case HASH_TYPE.IPV6_TCP:
      return true;
    default:
      return isSctp(hashType);
  }
}
