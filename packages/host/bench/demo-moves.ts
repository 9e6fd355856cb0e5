/** What the benchmarks of moves share: the demo's hosts as whole processes, and medians. */
import { fileURLToPath } from "node:url";
import { findConfig, type ScenarioReport, silentLogger, systemClock } from "@vfmig/core";
import { type HostOptions, openHost, runScenario } from "@vfmig/host";

const demo = fileURLToPath(new URL("../../../examples/demo", import.meta.url));

export interface DemoMoves {
  /** Of the demo's configurations. */
  readonly model: string;
  readonly queuePairs: number;
  readonly moves: number;
  /** Frames a second, each way. */
  readonly rate: number;
}

/** Moves the demo's guest to and fro under traffic, with `options` in place of the configuration's. */
export async function demoMoves(
  { model, queuePairs, moves, rate }: DemoMoves,
  options: Pick<HostOptions, "baseOptions" | "driverOptions">,
): Promise<ScenarioReport> {
  await using host = await openHost({
    config: await findConfig(demo, model),
    logger: silentLogger,
    clock: systemClock,
    ...options,
  });
  return await runScenario(host, {
    moves,
    rate,
    seed: 1,
    options: { queuePairs },
    signal: new AbortController().signal,
    progress: () => {},
  });
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}
