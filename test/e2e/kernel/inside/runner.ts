import { spawnSync } from "node:child_process";
import { writeSync } from "node:fs";
import { release } from "node:os";
import { pathToFileURL } from "node:url";
import {
  DEFAULT_LIMIT_SECONDS,
  Unsupported,
  type BedCase,
  type CaseReport,
  type RequestReport,
} from "./bed-case.ts";
import { REQUESTS, type MadeRequest } from "./recorded-io.ts";

const LOG_LINES = 20;

// Runs in the guest: the cases of one file, those named on the command line or all, one after the other.
const [file, ...names] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write("usage: runner.ts CASE-FILE [NAME...]\n");
  process.exit(2);
}
const made = new Map<string, MadeRequest>();
REQUESTS.subscribe((message) => {
  const request = message as MadeRequest;
  made.set(Object.values(request).join(" "), request);
});
const { cases } = (await import(pathToFileURL(file).href)) as { cases: readonly BedCase[] };

function tell(report: CaseReport | RequestReport): void {
  // At once, so that a later crash does not swallow it.
  writeSync(1, `${JSON.stringify(report)}\n`);
}

/** Codes, and causes with theirs, are half of what an error says. */
function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof SuppressedError) return `${words(error.suppressed)}\n${words(error.error)}`;
  const code = "code" in error ? ` [${String(error.code)}]` : "";
  const cause = error.cause === undefined ? "" : `\ncaused by ${words(error.cause)}`;
  return `${error.stack ?? error.message}${code}${cause}`;
}

/** What the guest's kernel logged last. */
function kernelLog(): string {
  const log = spawnSync("dmesg", { encoding: "utf8" }).stdout ?? "";
  return log.trimEnd().split("\n").slice(-LOG_LINES).join("\n");
}

function withinLimit<Value>(seconds: number, promise: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new OverTime(seconds)), seconds * 1000);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function end(code: number): never {
  if (made.size > 0) tell({ requestsOf: release(), made: [...made.values()] });
  process.exit(code);
}

class OverTime extends Error {
  constructor(seconds: number) {
    super(`the case took more than ${seconds} s in the guest`);
  }
}

for (const { name, run, limitSeconds = DEFAULT_LIMIT_SECONDS } of cases) {
  if (names.length > 0 && !names.includes(name)) continue;
  try {
    const figures = await withinLimit(limitSeconds, (async () => run())());
    tell({ case: name, outcome: "passed", ...(figures && { figures }) });
  } catch (error) {
    const skipped = error instanceof Unsupported;
    const why = skipped
      ? error.message
      : `${words(error)}\n--- the guest's kernel log\n${kernelLog()}`;
    tell({ case: name, outcome: skipped ? "skipped" : "failed", why });
    // What still runs would disturb the cases after it; they get a process of their own.
    if (error instanceof OverTime) end(3);
  }
}
// A case that left something open must not keep the guest's shell waiting.
end(0);
