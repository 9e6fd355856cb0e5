import { useError } from "../guest/fault.ts";
import type { GuestDriverOptions } from "../guest/options.ts";

/** What a guest wants, in range. */
export interface Sizes {
  readonly queuePairs: number;
  /** Descriptors of each ring. */
  readonly ringSize: number;
  /** Bytes. */
  readonly mtu: number;
}

/** @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range */
export function sizesOf({ queuePairs = 4, ringSize = 512, mtu = 1500 }: GuestDriverOptions): Sizes {
  const sound = ringSize >= 64 && ringSize <= 4096 && ringSize % 32 === 0;
  if (!sound || !(queuePairs >= 1 && queuePairs <= 16) || !(mtu >= 68 && mtu <= 9702)) {
    const given = `${queuePairs} queue pairs, rings of ${ringSize}, MTU ${mtu}`;
    throw useError(`${given} cannot be; 1 to 16 pairs, 64 to 4,096 in steps of 32, 68 to 9702`);
  }
  return { queuePairs, ringSize, mtu };
}

/** `max_pkt_size` and buffer of iavf 6.1, in bytes, by the MTU that is wanted. */
export function receiveSizes(
  mtu: number,
  maxFrame: number,
): { readonly buffer: number; readonly maxPacket: number } {
  if (mtu <= 1500) return { buffer: 1536, maxPacket: 1534 };
  return { buffer: 3072, maxPacket: Math.min(maxFrame === 0 ? 9728 : maxFrame, 9728) };
}
