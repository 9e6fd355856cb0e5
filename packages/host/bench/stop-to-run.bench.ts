/**
 * How long a guest's device stands still when it moves, and where the time goes: whole processes over
 * vfio-user, by NIC, queue pairs, and the time that the PF takes for an answer. Floor of the same run:
 * the answers that the two PFs have to give one after the other, which no plugin can do without.
 *
 * Run: node packages/host/bench/stop-to-run.bench.ts [--json] [--moves=N] [--models=i40e,e810]
 */
import { parseArgs } from "node:util";
import type { MoveReport } from "@vfmig/core";
import { demoMoves, quantile } from "./demo-moves.ts";

const { values: args } = parseArgs({
  options: {
    json: { type: "boolean" },
    moves: { type: "string", default: "20" },
    models: { type: "string", default: "i40e,e810" },
    delays: { type: "string", default: "0,1,10" },
    queues: { type: "string", default: "1,4,16" },
  },
});

/** The source stops its queues; the target configures and enables its own. */
const ANSWERS = 2;

interface Row {
  readonly model: string;
  readonly pfDelayMs: number;
  readonly queues: number;
  readonly floorMs: number;
  readonly median: number;
  readonly p99: number;
  /** Median of each step. */
  readonly steps: Readonly<Record<string, number>>;
  readonly lost: number;
}

function steps(moves: readonly MoveReport[]): Record<string, number> {
  const names = Object.keys(moves[0]?.phases ?? {});
  return Object.fromEntries(
    names.map((name) => [
      name,
      quantile(
        moves.map(({ phases }) => phases[name] ?? 0),
        0.5,
      ),
    ]),
  );
}

async function measure(model: string, pfDelayMs: number, queues: number): Promise<Row> {
  const { moves, flows } = await demoMoves(
    { model, queuePairs: queues, moves: Number(args.moves), rate: 1000 },
    { baseOptions: { pfReplyDelayMs: pfDelayMs } },
  );
  const times = moves.map(({ stopToRunMs }) => stopToRunMs);
  return {
    model,
    pfDelayMs,
    queues,
    floorMs: ANSWERS * pfDelayMs,
    median: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    steps: steps(moves),
    lost: flows.reduce((sum, { lost }) => sum + lost, 0),
  };
}

const rows: Row[] = [];
for (const model of args.models.split(",")) {
  for (const delay of args.delays.split(",")) {
    for (const queues of args.queues.split(",")) {
      rows.push(await measure(model, Number(delay), Number(queues)));
    }
  }
}
if (args.json === true) {
  console.log(JSON.stringify({ benchmark: "stop-to-run", moves: Number(args.moves), rows }));
} else {
  const names = Object.keys(rows[0]?.steps ?? {});
  console.log(["model", "PF ms", "queues", "floor", "median", "p99", ...names, "lost"].join("\t"));
  for (const { model, pfDelayMs, queues, floorMs, median, p99, steps: parts, lost } of rows) {
    const times = [floorMs, median, p99, ...names.map((name) => parts[name] ?? 0)];
    console.log(
      [model, pfDelayMs, queues, ...times.map((time) => time.toFixed(2)), lost].join("\t"),
    );
  }
}
