import assert from "node:assert/strict";
import type { FlowReport, ScenarioReport } from "@vfmig/core";
import { runScenario } from "@vfmig/host";
import { serveVfs, type ServedVfs } from "../igb/served.ts";
import type { BedCase, Figures } from "../inside/bed-case.ts";

const MOVES = 20;
/** Frames a second that arrive; the guest sends somewhat fewer. */
const RATE = 400;
const SEED = 20;
/** As many as show every turn, in half a minute; frames that come while rings are changed are lost. */
const OWN_MOVES = 10;
const OWN_RATE = 200;

/** Moves to and fro; returns what was counted where nothing was wrong. */
async function moves(served: ServedVfs, count: number, rate: number): Promise<Counted> {
  const report = await runScenario(served.host, {
    moves: count,
    rate,
    seed: SEED,
    signal: new AbortController().signal,
    progress: () => {},
  });
  const figures = figuresOf(report);
  assert.equal(report.moves.length, count);
  const wrong = report.flows.filter(
    ({ lost, duplicated, reordered, corrupted }) => lost + duplicated + reordered + corrupted > 0,
  );
  assert.deepEqual(wrong, [], JSON.stringify(figures));
  assert.ok(Number(figures["ring positions"]) >= 10, JSON.stringify(figures));
  assert.deepEqual(served.warnings, []);
  return { figures, report };
}

interface Counted {
  readonly figures: Figures;
  readonly report: ScenarioReport;
}

async function relayed(): Promise<Figures> {
  await using served = await serveVfs();
  return (await moves(served, MOVES, RATE)).figures;
}

/** The guest has its VF to itself but for the moves: its rings, its vectors, and its VMM's mapping of them. */
async function ownRings(): Promise<Figures> {
  const options = { shadow: "while-saving", doorbells: "direct", handBack: true, quiesceMs: 0 };
  await using served = await serveVfs({ package: "@vfmig/plugin-igb", options }, true);
  const { figures, report } = await moves(served, OWN_MOVES, OWN_RATE);
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

function figuresOf({ moves: moved, flows, seconds }: ScenarioReport): Figures {
  const stopped = moved.map(({ stopToRunMs }) => stopToRunMs).toSorted((a, b) => a - b);
  const running = seconds - stopped.reduce((sum, ms) => sum + ms, 0) / 1000;
  const positions = new Set(moved.map(({ ringIndices }) => JSON.stringify(ringIndices)));
  const sum = (direction: FlowReport["direction"], of: (flow: FlowReport) => number): number =>
    flows.filter((flow) => flow.direction === direction).reduce((all, flow) => all + of(flow), 0);
  const rate = (direction: FlowReport["direction"]): number =>
    Math.round(sum(direction, ({ delivered }) => delivered) / running);
  return {
    moves: moved.length,
    "ring positions": positions.size,
    "frames/s to the guest": rate("toGuest"),
    "frames/s from the guest": rate("fromGuest"),
    "frames delivered": sum("toGuest", (f) => f.delivered) + sum("fromGuest", (f) => f.delivered),
    "frames while stopped": sum("toGuest", ({ duringBlackout }) => duringBlackout),
    "frames lost": sum("toGuest", ({ lost }) => lost) + sum("fromGuest", ({ lost }) => lost),
    "stop to run, ms, median": Math.round(stopped[Math.floor(stopped.length / 2)] ?? 0),
    "stop to run, ms, longest": Math.round(stopped.at(-1) ?? 0),
    "state, bytes": Math.max(...moved.map(({ stateBytes }) => stateBytes)),
  };
}

export const cases: readonly BedCase[] = [
  {
    name: `a guest moves ${MOVES} times between two VFs of one PF, with its address and without losing a frame`,
    limitSeconds: 480,
    run: relayed,
  },
  {
    name: `a guest that has its VF to itself, mapped, is put on private rings, moved ${OWN_MOVES} times and given its own again, and loses nothing outside of that`,
    limitSeconds: 480,
    run: ownRings,
  },
];
