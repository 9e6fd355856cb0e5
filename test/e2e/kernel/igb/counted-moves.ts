import assert from "node:assert/strict";
import type { FlowReport, ScenarioReport } from "@vfmig/core";
import { runScenario } from "@vfmig/host";
import type { Figures } from "../inside/bed-case.ts";
import type { ServedVfs } from "./served.ts";

const SEED = 20;

/** Moves to and fro; returns what was counted where nothing was wrong. */
export async function countedMoves(
  served: ServedVfs,
  count: number,
  rate: number,
): Promise<CountedMoves> {
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

/** What was counted, and all that is known of it. */
export interface CountedMoves {
  readonly figures: Figures;
  readonly report: ScenarioReport;
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
