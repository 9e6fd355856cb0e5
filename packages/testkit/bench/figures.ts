/** What the benchmarks make of their samples, and where these come from. */
import { cpus } from "node:os";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

export function spread(samples: readonly number[]): Spread {
  return { median: quantile(samples, 0.5), min: quantile(samples, 0), max: quantile(samples, 1) };
}

export interface Machine {
  readonly cpu: string | undefined;
  readonly cpus: number;
  readonly node: string;
}

export function machine(): Machine {
  return { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
}
