import { parseArgs } from "node:util";
import { Artifacts } from "./fetch/artifacts.ts";
import { CannotFetch } from "./fetch/host-sources.ts";
import { fetchForGuests, guestStage, messagesStage } from "./guest/stage.ts";
import {
  fetchForIommufd,
  fetchForKernel,
  hostStage,
  iommufdStage,
  kernelStage,
} from "./kernel/stage.ts";
import { qtestStage } from "./qtest/stage.ts";
import { Recorder } from "./run/recorder.ts";
import { count, json, lastLine, table, type StageResult } from "./run/report.ts";
import type { Stage } from "./run/stage.ts";

const STAGES: readonly Stage[] = [
  {
    name: "qtest",
    fetch: async (artifacts) => void (await artifacts.qemu()),
    run: qtestStage,
  },
  { name: "guest", fetch: fetchForGuests, run: guestStage },
  { name: "messages", onDemand: true, fetch: fetchForGuests, run: messagesStage },
  { name: "kernel", fetch: fetchForKernel, run: kernelStage },
  { name: "host", fetch: fetchForKernel, run: hostStage },
  // Builds a kernel first, which takes longer than all other stages.
  { name: "iommufd", onDemand: true, fetch: fetchForIommufd, run: iommufdStage },
];

const HELP = `Whole-system tests: stock QEMU and stock Linux guests on devices that vfmig serves.

  npm run test:e2e                           every stage but messages and iommufd
  npm run test:e2e -- --stage guest          one stage (${STAGES.map(({ name }) => name).join(", ")}); may be repeated
  npm run test:e2e -- --only "two devices"   cases whose name has these words
  npm run test:e2e -- --json                 one JSON object on stdout, then the last line on stderr

What is fetched (Debian packages, through apt) is kept in ~/.cache/vfmig-e2e.
VFMIG_E2E_CACHE names another folder, VFMIG_E2E_QEMU a QEMU, VFMIG_E2E_MIRROR an archive.
`;

const note = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      stage: { type: "string", multiple: true },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const stages = STAGES.filter(
    ({ name, onDemand }) => values.stage?.includes(name) ?? onDemand !== true,
  );
  const unknown = values.stage?.find((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown !== undefined || stages.length === 0) {
    note(`There is no stage "${unknown ?? ""}".\n${HELP}`);
    return 2;
  }
  const artifacts = new Artifacts(note);
  const results: StageResult[] = [await fetchAll(stages, artifacts)];
  if (results.every(({ cases }) => cases.every(({ outcome }) => outcome === "passed"))) {
    for (const stage of stages) results.push(await runStage(stage, artifacts, values.only));
  }
  if (values.json) {
    process.stdout.write(
      `${json(results, { node: process.version, platform: process.platform })}\n`,
    );
    note(lastLine(results));
  } else process.stdout.write(`${table(results)}\n`);
  const { passed, failed } = count(results.flatMap(({ cases }) => cases));
  return failed > 0 || (passed === 0 && values.only !== undefined) ? 1 : 0;
}

/** Fetching comes first, as a stage of its own. A machine that cannot fetch skips all, except in CI. */
async function fetchAll(stages: readonly Stage[], artifacts: Artifacts): Promise<StageResult> {
  const recorder = new Recorder("fetch", undefined, note);
  const begin = performance.now();
  for (const { name, fetch } of stages) {
    const title = `what stage ${name} needs is at hand`;
    try {
      await fetch(artifacts);
      recorder.passed(title);
    } catch (error) {
      if (!(error instanceof CannotFetch)) throw error;
      const why = `This machine cannot fetch what the tests run: ${error.message}`;
      if (process.env["CI"] === "true") recorder.failed(title, why);
      else recorder.skipped(title, why);
    }
  }
  return { stage: "fetch", seconds: (performance.now() - begin) / 1000, cases: recorder.results };
}

async function runStage(
  stage: Stage,
  artifacts: Artifacts,
  only: string | undefined,
): Promise<StageResult> {
  note(`\n== ${stage.name}`);
  const recorder = new Recorder(stage.name, only, note);
  const begin = performance.now();
  try {
    await stage.run({ artifacts, recorder });
  } catch (error) {
    recorder.failed("the stage comes to its end", String(error));
  }
  const seconds = (performance.now() - begin) / 1000;
  return { stage: stage.name, seconds, cases: recorder.results };
}

// Whoever started this may be killed; the tests then end too, and QEMU with them.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, 1000).unref();
process.exit(await main());
