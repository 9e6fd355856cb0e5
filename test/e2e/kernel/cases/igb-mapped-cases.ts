import assert from "node:assert/strict";
import { countedMoves } from "../igb/counted-moves.ts";
import { serveVfs } from "../igb/served.ts";
import type { BedCase, Figures } from "../inside/bed-case.ts";

/** As many as show every turn, in half a minute; frames that come while rings are changed are lost. */
const OWN_MOVES = 10;
const OWN_RATE = 200;

/** The guest has its VF to itself but for the moves: its rings, its vectors, and its VMM's mapping of them. */
async function ownRings(): Promise<Figures> {
  const options = { shadow: "while-saving", doorbells: "direct", handBack: true, quiesceMs: 0 };
  await using served = await serveVfs({ package: "@vfmig/plugin-igb", options }, true);
  const { figures, report } = await countedMoves(served, OWN_MOVES, OWN_RATE);
  const { switches } = report;
  const ms = (kind: string): number[] =>
    switches
      .filter((each) => each.kind === kind)
      .map((each) => each.ms)
      .toSorted((a, b) => a - b);
  const [enter, leave] = [ms("enter"), ms("leave")];
  // Each move finds the guest on its own rings, and leaves it there.
  assert.deepEqual([enter.length, leave.length], [OWN_MOVES, OWN_MOVES], JSON.stringify(switches));
  const during = report.flows.reduce((sum, { duringSwitch }) => sum + duringSwitch, 0);
  return {
    ...figures,
    "frames while changing rings": during,
    "to private rings, ms, median and longest": `${middle(enter)}, ${middle(enter, 1)}`,
    "to the guest's rings, ms, median and longest": `${middle(leave)}, ${middle(leave, 1)}`,
  };
}

function middle(sorted: readonly number[], part = 0.5): string {
  const at = Math.min(sorted.length - 1, Math.floor(part * sorted.length));
  return (sorted[at] ?? 0).toFixed(1);
}

export const cases: readonly BedCase[] = [
  {
    name: `a guest that has its VF to itself, mapped, is put on private rings, moved ${OWN_MOVES} times and given its own again, and loses nothing outside of that`,
    limitSeconds: 480,
    run: ownRings,
  },
];
