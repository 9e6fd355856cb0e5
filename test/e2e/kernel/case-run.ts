import { Skip, type Figures } from "../run/recorder.ts";
import type { Bed } from "./bed.ts";
import type { CaseReport, RequestReport } from "./inside/bed-case.ts";

/** Begins every report line of the guest, of a case and of what was asked of its kernel. */
const REPORT = '{"case":';
const REQUESTS = '{"requestsOf":';
const WORDS_KEPT = 400;

/** One process in the guest that runs cases of a file, seen from the host. */
export class CaseRun {
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  readonly #reports = new Map<string, CaseReport>();
  readonly #words: string[] = [];
  #onReport: (() => void) | undefined;
  #end: string | undefined;
  #requests: RequestReport | undefined;

  constructor(bed: Bed, path: string, names: readonly string[], limitMs: number) {
    this.ended = this.#watch(bed.cases(path, names, limitMs, (line) => this.#receive(line)));
  }

  /** What the cases printed besides reports. */
  get words(): string {
    return this.#words.join("\n");
  }

  /** What the cases asked of the guest's kernel, once the process has ended. */
  get requests(): RequestReport | undefined {
    return this.#requests;
  }

  /** Whether the process has told of a case, or may still. */
  canTell(name: string): boolean {
    return this.#end === undefined || this.#reports.has(name);
  }

  /**
   * Waits for what became of a case.
   * @throws if it failed, or if the process ended before; {@link Skip} if it was skipped
   */
  async outcome(name: string): Promise<Figures | undefined> {
    for (;;) {
      const report = this.#reports.get(name);
      if (report?.outcome === "passed") return report.figures;
      if (report?.outcome === "skipped") throw new Skip(report.why);
      if (report !== undefined) throw new Error(report.why);
      if (this.#end !== undefined) throw new Error(`${this.#end} and told nothing of this case`);
      await new Promise<void>((resolve) => (this.#onReport = resolve));
    }
  }

  async #watch(process: Promise<number>): Promise<void> {
    try {
      this.#end = `the process in the guest ended with ${await process}`;
    } catch (error) {
      this.#end = String(error);
    }
    this.#onReport?.();
  }

  #receive(line: string): void {
    if (line.startsWith(REQUESTS)) {
      this.#requests = JSON.parse(line) as RequestReport;
      return;
    }
    if (!line.startsWith(REPORT)) {
      this.#words.push(line);
      if (this.#words.length > WORDS_KEPT) this.#words.shift();
      return;
    }
    const report = JSON.parse(line) as CaseReport;
    this.#reports.set(report.case, report);
    this.#onReport?.();
  }
}
