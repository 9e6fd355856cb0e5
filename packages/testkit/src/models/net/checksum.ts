/** Adds the 16-bit big-endian words of `bytes[start, end)` to `sum` (RFC 1071); an odd byte counts as high. */
export function sumWords(bytes: Uint8Array, start: number, end: number, sum: number): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) total += bytes[at]! << 8;
  return total;
}

/** Folds a sum of words to 16 bits. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** The internet checksum of `bytes[start, end)`, starting from `sum`. */
export function internetChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  sum: number = 0,
): number {
  return ~foldSum(sumWords(bytes, start, end, sum)) & 0xffff;
}

/** Sum of the pseudo header of an IPv4 packet whose header begins at `l3`. */
export function pseudoSumIpv4(
  bytes: Uint8Array,
  l3: number,
  protocol: number,
  l4Length: number,
): number {
  return sumWords(bytes, l3 + 12, l3 + 20, 0) + protocol + l4Length;
}

/** Sum of the pseudo header of an IPv6 packet whose header begins at `l3` (RFC 8200 8.1). */
export function pseudoSumIpv6(
  bytes: Uint8Array,
  l3: number,
  protocol: number,
  l4Length: number,
): number {
  return sumWords(bytes, l3 + 8, l3 + 40, 0) + protocol + (l4Length >>> 16) + (l4Length & 0xffff);
}
