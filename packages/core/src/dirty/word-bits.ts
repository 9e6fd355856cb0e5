import type { DirtySink } from "../sub-driver/facets.ts";
import { edgeMask, lowestBit } from "./chunk.ts";

/** A sink of core's own: it takes a bitmap 32 pages at a time. */
export interface DirtyWordSink extends DirtySink {
  /**
   * Marks page n from `iova` for each bit n of `words`, least significant first; `iova` in bytes. Bits from
   * `pages` on count for nothing. Allocates nothing.
   */
  setWords(iova: number, pageSize: number, words: Uint32Array, pages: number): void;
}

/** Gives a bitmap to a sink, by words where it takes them and by runs of pages elsewhere. */
export function giveWords(
  sink: DirtySink & Partial<DirtyWordSink>,
  iova: number,
  pageSize: number,
  words: Uint32Array,
  pages: number,
): void {
  if (sink.setWords === undefined) setRuns(sink, iova, pageSize, words, pages);
  else sink.setWords(iova, pageSize, words, pages);
}

/** As {@link DirtyWordSink.setWords}, for a sink of stretches. */
export function setRuns(
  sink: DirtySink,
  iova: number,
  pageSize: number,
  words: Uint32Array,
  pages: number,
): void {
  const count = Math.ceil(pages / 32);
  for (let at = 0; at < count; at++) {
    let left = (words[at] ?? 0) & edgeMask(at, 0, pages);
    while (left !== 0) {
      const from = lowestBit(left);
      const rest = ~(left >>> from);
      // The ones from `from` upwards; 32 of them leave no zero to find.
      const ones = rest === 0 ? 32 : lowestBit(rest);
      sink.set(iova + (at * 32 + from) * pageSize, ones * pageSize);
      left = from + ones >= 32 ? 0 : left & (-1 << (from + ones));
    }
  }
}
