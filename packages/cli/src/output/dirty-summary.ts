import type { DirtyPagesReport } from "@vfmig/core";
import { percentile, readable, sum } from "./numbers.ts";

/** Of a figure over all moves. */
export interface Spread {
  readonly median: number;
  /** The largest. */
  readonly worst: number;
}

/** How good the log of what a device wrote was, over all moves; pages at the stops. */
export interface DirtySummary {
  readonly reported: Spread;
  readonly changed: Spread;
  /** Reported more than needed. */
  readonly extra: Spread;
  /** Reported for each page that had changed; null where none had in any move. */
  readonly ratio: Spread | null;
  /** Pages that changed and that nobody named, in all moves: a broken guest. */
  readonly forgotten: number;
}

/** Sums up what each move says; null without moves. */
export function summarizeDirty(moves: readonly DirtyPagesReport[]): DirtySummary | null {
  if (moves.length === 0) return null;
  const ratios = moves.flatMap(({ ratio }) => (ratio === null ? [] : [ratio]));
  return {
    reported: spread(moves.map(({ reported }) => reported)),
    changed: spread(moves.map(({ changed }) => changed)),
    extra: spread(moves.map(({ extra }) => extra)),
    ratio: ratios.length === 0 ? null : spread(ratios),
    forgotten: sum(moves.map(({ forgotten }) => forgotten)),
  };
}

/** One line for a person. */
export function dirtyText({ changed, extra, ratio, forgotten }: DirtySummary): string {
  const times =
    ratio === null
      ? ""
      : `: ${readable(ratio.median, 1)} times as many (worst ${readable(ratio.worst, 1)})`;
  const lacking = forgotten === 0 ? "none forgotten" : `${readable(forgotten)} FORGOTTEN`;
  return `  of the dirty pages ${readable(changed.median)} had changed and ${readable(extra.median)} were more than needed${times}; ${lacking}`;
}

function spread(values: readonly number[]): Spread {
  return { median: percentile(values, 0.5), worst: Math.max(...values) };
}
