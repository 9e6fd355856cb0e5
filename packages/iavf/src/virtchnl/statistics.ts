import { viewOf } from "./body.ts";

/** Words of a GET_STATS reply at most; see `STATS_WORDS` for the first twelve. */
export const STATISTICS_MAX_WORDS = 16;

/** All whole 64-bit words of a GET_STATS reply, whatever its PF calls them. */
export function statisticsWords(body: Uint8Array): bigint[] {
  const data = viewOf(body);
  const count = Math.min(Math.floor(body.length / 8), STATISTICS_MAX_WORDS);
  return Array.from({ length: count }, (_, index) => data.getBigUint64(8 * index, true));
}

/** A GET_STATS reply with `words` added to its own, word by word and modulo 2^64. */
export function addStatistics(body: Uint8Array, words: readonly bigint[]): Uint8Array {
  const sum = body.slice();
  const data = viewOf(sum);
  for (const [index, word] of statisticsWords(body).entries()) {
    data.setBigUint64(8 * index, BigInt.asUintN(64, word + (words[index] ?? 0n)), true);
  }
  return sum;
}
