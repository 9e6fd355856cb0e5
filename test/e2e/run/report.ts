import type { CaseResult } from "./recorder.ts";

/** What came of a stage; `seconds` from its begin to its end, fetching not included. */
export interface StageResult {
  readonly stage: string;
  readonly seconds: number;
  readonly cases: readonly CaseResult[];
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function count(cases: readonly CaseResult[]): Counts {
  const of = (outcome: CaseResult["outcome"]): number =>
    cases.filter((result) => result.outcome === outcome).length;
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") };
}

/** The stages as a table, then `N passed, N failed` as the last line. */
export function table(stages: readonly StageResult[]): string {
  const rows = [["stage", "passed", "failed", "skipped", "seconds"]];
  for (const { stage, seconds, cases } of stages) {
    const { passed, failed, skipped } = count(cases);
    rows.push([stage, String(passed), String(failed), String(skipped), seconds.toFixed(1)]);
  }
  const lines = rows.map(([name = "", ...cells]) =>
    [name.padEnd(10), ...cells.map((cell) => cell.padStart(8))].join(" "),
  );
  return [...lines, "", lastLine(stages)].join("\n");
}

export function lastLine(stages: readonly StageResult[]): string {
  const { passed, failed } = count(stages.flatMap(({ cases }) => cases));
  return `${passed} passed, ${failed} failed`;
}

/** The same for machines, on one line. */
export function json(stages: readonly StageResult[], environment: object): string {
  const total = count(stages.flatMap(({ cases }) => cases));
  const list = stages.map(({ stage, seconds, cases }) => ({
    stage,
    seconds,
    ...count(cases),
    cases,
  }));
  return JSON.stringify({ schemaVersion: 1, ...total, environment, stages: list });
}
