import type { DirtyPagesReport } from "@vfmig/core";
import { isSet } from "./page-copy.ts";

const PAGE = 4096;
/** Compared in one turn of the event loop: a mebibyte, so that the guest goes on meanwhile. */
const STEP = (1 << 20) / PAGE;

/** What a move knows of its pages, to weigh its log. Bit n, least significant first, is page n. */
export interface WeighedMove {
  /** The target's memory as it was before the stop. */
  readonly before: Uint8Array;
  /** The source's memory as the stop left it. */
  readonly after: Uint8Array;
  /** Pages that the device's log names at the stop. */
  readonly reported: Uint8Array;
  /** All pages that were copied after the stop: those, and the guest's own. */
  readonly copied: Uint8Array;
}

/**
 * How many of the pages that a log named had changed, by their content, and what nobody named. A page
 * that was written with what it held already counts as unchanged.
 */
export async function weighLog(
  { before, after, reported, copied }: WeighedMove,
  turn: () => Promise<void>,
): Promise<DirtyPagesReport> {
  const pages = after.length / PAGE;
  const old = Buffer.from(before.buffer, before.byteOffset, before.byteLength);
  let [named, changed, forgotten] = [0, 0, 0];
  for (let page = 0; page < pages; page += 1) {
    if (page % STEP === 0) await turn();
    const [from, to] = [page * PAGE, (page + 1) * PAGE];
    const differs = old.compare(after, from, to, from, to) !== 0;
    const inLog = isSet(reported, page);
    if (inLog) named += 1;
    if (inLog && differs) changed += 1;
    if (differs && !isSet(copied, page)) forgotten += 1;
  }
  const ratio = changed === 0 ? null : named / changed;
  return { reported: named, changed, extra: named - changed, ratio, forgotten };
}
