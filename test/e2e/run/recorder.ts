import { AssertionError } from "node:assert";
import { within } from "./time-limit.ts";

export interface CaseResult {
  readonly stage: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
  /** Why it failed or was skipped. */
  readonly why?: string;
  /** What the case measured, by name with its unit. */
  readonly figures?: Figures;
}

export type Figures = Readonly<Record<string, number | string>>;

/** What a case may tell should it fail: a heading, and the text at that moment. */
export type Evidence = (heading: string, text: () => string) => void;

/** Thrown by a case that this machine or version cannot run. */
export class Skip extends Error {
  override readonly name = "Skip";
}

const LIMIT_MS = 60_000;
const SHOWN = 8000;

/** Runs cases one after the other and keeps what came of them. */
export class Recorder {
  readonly results: CaseResult[] = [];
  readonly #stage: string;
  readonly #only: string | undefined;
  readonly #note: (text: string) => void;

  /** `only`: cases whose name has it; undefined runs all. */
  constructor(stage: string, only: string | undefined, note: (text: string) => void) {
    this.#stage = stage;
    this.#only = only;
    this.#note = note;
  }

  wants(name: string): boolean {
    return this.#only === undefined || name.includes(this.#only);
  }

  /** Runs one case, which may return what it measured; returns whether it passed. */
  async run(
    name: string,
    body: (evidence: Evidence) => Promise<Figures | void>,
    limitMs: number = LIMIT_MS,
  ): Promise<boolean> {
    const attached: [string, () => string][] = [];
    const begin = performance.now();
    const keep = (outcome: CaseResult["outcome"], why?: string, figures?: Figures): void => {
      const seconds = (performance.now() - begin) / 1000;
      const result = { stage: this.#stage, name, outcome, seconds };
      this.results.push({
        ...result,
        ...(why !== undefined && { why }),
        ...(figures !== undefined && { figures }),
      });
      const word = { passed: "ok", failed: "FAILED", skipped: "skipped" }[outcome];
      this.#note(`${word.padEnd(7)} ${seconds.toFixed(2).padStart(6)} s  ${name}`);
      if (why !== undefined) this.#note(indent(why));
      if (figures !== undefined) this.#note(indent(figureLine(figures)));
    };
    try {
      const figures = await within(
        limitMs,
        "the case",
        body((heading, text) => attached.push([heading, text])),
      );
      keep("passed", undefined, figures ?? undefined);
      return true;
    } catch (error) {
      if (error instanceof Skip) {
        keep("skipped", error.message);
        return true;
      }
      const evidence = attached.map(([heading, text]) => `--- ${heading}\n${tail(text())}`);
      keep("failed", [words(error), ...evidence].join("\n"));
      return false;
    }
  }

  /** Records what was seen without a body of its own. */
  passed(name: string): void {
    this.results.push({ stage: this.#stage, name, outcome: "passed", seconds: 0 });
  }

  /** Records a case that could not be tried. */
  failed(name: string, why: string): void {
    this.results.push({ stage: this.#stage, name, outcome: "failed", seconds: 0, why });
    this.#note(`${"FAILED".padEnd(7)} ${"".padStart(6)}    ${name}\n${indent(why)}`);
  }

  /** Records cases that were not tried, because of one that failed before them. */
  notTried(names: readonly string[], why: string): void {
    for (const name of names) {
      this.results.push({ stage: this.#stage, name, outcome: "failed", seconds: 0, why });
    }
    if (names.length > 0) this.#note(`FAILED  ${names.length} later cases, ${why}`);
  }

  skipped(name: string, why: string): void {
    this.results.push({ stage: this.#stage, name, outcome: "skipped", seconds: 0, why });
    this.#note(`${"skipped".padEnd(7)} ${"".padStart(6)}    ${name}\n${indent(why)}`);
  }
}

function figureLine(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

function words(error: unknown): string {
  if (error instanceof AggregateError || error instanceof SuppressedError) {
    const inner = error instanceof SuppressedError ? [error.suppressed, error.error] : error.errors;
    return inner.map(words).join("\n");
  }
  if (error instanceof AssertionError) return `${error.message}\n${place(error)}`;
  return error instanceof Error ? `${error.message}\n${place(error)}` : String(error);
}

/** The lines of the stack that are ours. */
function place(error: Error): string {
  const lines = (error.stack ?? "").split("\n").filter((line) => line.includes("/e2e/"));
  return lines.slice(0, 4).join("\n");
}

function tail(text: string): string {
  const trimmed = text.trim();
  return trimmed.length <= SHOWN ? trimmed : `...${trimmed.slice(-SHOWN)}`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gmu, "          ");
}
