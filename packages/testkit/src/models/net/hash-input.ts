import { HASH_TYPE, type FrameClass } from "./classify.ts";

/** Offset of the addresses in each IP header, and their length together. */
const ADDRESSES = { 4: { at: 12, length: 8 }, 6: { at: 8, length: 32 } } as const;

/**
 * Copies what the 700 series hashes for this frame's type to `into`: addresses, then ports (SCTP: and
 * the verification tag), or the ethertype of other frames. Returns the number of bytes.
 */
export function hashInput(frame: Uint8Array, found: FrameClass, into: Uint8Array): number {
  if (found.ipVersion !== 4 && found.ipVersion !== 6) {
    into[0] = found.etherType >> 8;
    into[1] = found.etherType & 0xff;
    return 2;
  }
  const { at, length } = ADDRESSES[found.ipVersion];
  for (let index = 0; index < length; index++) into[index] = frame[found.l3 + at + index]!;
  const extra = l4Bytes(found.hashType);
  for (let index = 0; index < extra; index++) into[length + index] = frame[found.l4 + index]!;
  return length + extra;
}

function l4Bytes(hashType: number): number {
  switch (hashType) {
    case HASH_TYPE.IPV4_UDP:
    case HASH_TYPE.IPV4_TCP:
    case HASH_TYPE.IPV6_UDP:
    case HASH_TYPE.IPV6_TCP:
      return 4;
    case HASH_TYPE.IPV4_SCTP:
    case HASH_TYPE.IPV6_SCTP:
      return 8;
    default:
      return 0;
  }
}
