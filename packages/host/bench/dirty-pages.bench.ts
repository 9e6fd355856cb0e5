/**
 * How many more pages a device's log names at a stop than had changed, by NIC, mode of its queues and queue
 * pairs: whole processes over vfio-user, pages judged by their content. The floor is what had changed; the peer
 * is a buffer for each slot of the guest's Rx rings, which is what a log has to name that cannot ask the device.
 *
 * Run: node packages/host/bench/dirty-pages.bench.ts [--json] [--moves=N] [--models=i40e,e810]
 */
import { parseArgs } from "node:util";
import type { MoveReport } from "@vfmig/core";
import { demoMoves, quantile } from "./demo-moves.ts";

const { values: args } = parseArgs({
  options: {
    json: { type: "boolean" },
    moves: { type: "string", default: "10" },
    rate: { type: "string", default: "2000" },
    models: { type: "string", default: "i40e,e810" },
    modes: { type: "string", default: "always,while-saving" },
    queues: { type: "string", default: "1,4,16" },
  },
});

/** Of the scenario's guest: slots of an Rx ring, and bytes of a buffer. */
const POSTED_PAGES = (512 * 2048) / 4096;

interface Row {
  readonly model: string;
  readonly mode: string;
  readonly queues: number;
  /** Pages of posted buffers; the guest keeps one slot free. */
  readonly posted: number;
  /** Medians over the moves. */
  readonly reported: number;
  readonly changed: number;
  readonly extra: number;
  readonly ratio: number;
  readonly worstRatio: number;
  /** In all moves. */
  readonly forgotten: number;
}

const median = (values: readonly number[]): number => quantile(values, 0.5);

function rowOf(model: string, mode: string, queues: number, moves: readonly MoveReport[]): Row {
  const all = moves.map(({ dirty }) => dirty);
  const ratios = all.flatMap(({ ratio }) => (ratio === null ? [] : [ratio]));
  return {
    model,
    mode,
    queues,
    posted: POSTED_PAGES * queues,
    reported: median(all.map(({ reported }) => reported)),
    changed: median(all.map(({ changed }) => changed)),
    extra: median(all.map(({ extra }) => extra)),
    ratio: median(ratios),
    worstRatio: Math.max(0, ...ratios),
    forgotten: all.reduce((sum, { forgotten }) => sum + forgotten, 0),
  };
}

async function measure(model: string, mode: string, queues: number): Promise<Row> {
  const [moves, rate] = [Number(args.moves), Number(args.rate)];
  const options = { driverOptions: { shadow: mode } };
  const report = await demoMoves({ model, queuePairs: queues, moves, rate }, options);
  return rowOf(model, mode, queues, report.moves);
}

const rows: Row[] = [];
for (const model of args.models.split(",")) {
  for (const mode of args.modes.split(",")) {
    for (const queues of args.queues.split(",")) {
      rows.push(await measure(model, mode, Number(queues)));
    }
  }
}
if (args.json === true) {
  const { moves, rate } = args;
  console.log(
    JSON.stringify({ benchmark: "dirty-pages", moves: Number(moves), rate: Number(rate), rows }),
  );
} else {
  console.table(
    rows.map(({ ratio, worstRatio, ...row }) => ({
      ...row,
      ratio: Number(ratio.toFixed(1)),
      worst: Number(worstRatio.toFixed(1)),
    })),
  );
}
