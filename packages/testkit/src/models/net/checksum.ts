/** From so many bytes on, words of 32 bits are worth the view that reads them. */
const LONG = 96;

/**
 * Adds the 16-bit big-endian words of `bytes[start, end)` to `sum` (RFC 1071); an odd byte counts as high.
 * The result is right once it is folded.
 */
export function sumWords(bytes: Uint8Array, start: number, end: number, sum: number): number {
  let total = sum;
  let at = start;
  if (end - start >= LONG) {
    const stop = end - ((end - start) % 4);
    total += longSum(bytes, start, stop);
    at = stop;
  }
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) total += bytes[at]! << 8;
  return total;
}

/**
 * The folded sum of whole 32-bit words, read as the processor likes them: a sum of swapped words is the
 * swapped sum. Two sums, so that the processor adds both at a time.
 */
function longSum(bytes: Uint8Array, start: number, stop: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let low = 0;
  let high = 0;
  for (let at = start; at < stop; at += 4) {
    const word = view.getInt32(at, true);
    low += word & 0xffff;
    high += word >>> 16;
  }
  const swapped = foldSum(low + high);
  return ((swapped & 0xff) << 8) | (swapped >>> 8);
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
