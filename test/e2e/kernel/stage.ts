import type { Artifacts } from "../fetch/artifacts.ts";
import type { Evidence, Figures, Recorder } from "../run/recorder.ts";
import type { StageContext } from "../run/stage.ts";
import { Bed, type BedKind } from "./bed.ts";
import { CASE_FILES, casesOf, type CaseFile } from "./case-files.ts";
import { CaseRun } from "./case-run.ts";
import { DEFAULT_LIMIT_SECONDS, type BedCase, type RequestReport } from "./inside/bed-case.ts";
import { complaints } from "./kernel-log.ts";
import { differences, recordOf, writeRecord } from "./requests-record.ts";

/** A kernel, and which of its cases. */
interface Part {
  readonly kind: BedKind;
  /** Those of the stage `host`. */
  readonly host: boolean;
}

const BOOT: Readonly<Record<BedKind, string>> = {
  debian: "the guest boots, its VFs are on vfio-pci, and the host's files are there",
  iommufd: "a guest with iommufd boots, its VFs are on vfio-pci, and the host's files are there",
  mock: "a guest with iommufd's self-test boots, and the host's files are there",
};
const GUEST: Readonly<Record<BedKind, string>> = {
  debian: "the guest",
  iommufd: "the guest with iommufd",
  mock: "the guest with iommufd's self-test",
};
/** Time for the process's start and its imports over 9p, and for the machine beside. */
const START_MS = 60_000;

export async function fetchForKernel(artifacts: Artifacts): Promise<void> {
  await artifacts.qemu();
  await artifacts.busybox();
  await artifacts.bedKernel();
  await artifacts.mtty();
}

export async function fetchForIommufd(artifacts: Artifacts): Promise<void> {
  await artifacts.qemu();
  await artifacts.busybox();
  await artifacts.ownKernel();
}

/** The kernel's own VFIO, in a guest with an emulated IOMMU and a NIC that has VFs. */
export async function kernelStage(context: StageContext): Promise<void> {
  await runStage(context, { kind: "debian", host: false });
}

/** Our host and its commands in the same guest, with real VFs. */
export async function hostStage(context: StageContext): Promise<void> {
  await runStage(context, { kind: "debian", host: true });
}

/** The same with a kernel that has iommufd and the character devices of VFIO. */
export async function iommufdStage(context: StageContext): Promise<void> {
  await runStage(context, { kind: "iommufd", host: false });
  await runStage(context, { kind: "mock", host: false });
}

async function runStage({ artifacts, recorder }: StageContext, part: Part): Promise<void> {
  const { kind, host } = part;
  const wanted = await chosen(recorder, part);
  if (wanted.length === 0 && !recorder.wants(BOOT[kind])) return;
  await using bed = await Bed.start(artifacts, kind);
  const booted = await recorder.run(BOOT[kind], async (evidence) => {
    evidence("QEMU's stderr", () => bed.guest.machine.child.stderr);
    evidence("the guest's console", () => bed.guest.console);
    await bed.ready();
  });
  const requests: RequestReport[] = [];
  for (const { file, cases } of wanted) {
    const names = cases.map(({ name }) => title(file, name));
    if (!booted) recorder.notTried(names, "not tried, since the guest is not there");
    else if (file.mdevs === true && bed.noMdevs !== undefined) lack(recorder, names, bed.noMdevs);
    else requests.push(...(await runFile(bed, recorder, file, cases)));
  }
  if (!booted) return;
  await recorder.run(`the kernel of ${GUEST[kind]} complained of nothing`, async (evidence) =>
    listen(bed, evidence),
  );
  // Some cases make some requests: only all of them make what the file says.
  if (host || !recorder.wants("") || bed.noMdevs !== undefined) return;
  const update = process.env["VFMIG_UPDATE"] === "1";
  const asked = `what was asked of ${GUEST[kind]} is what the README tells`;
  await recorder.run(asked, async () => checkRecord(kind, requests, update));
}

/** What the kernel said besides, and that nobody expects. */
async function listen(bed: Bed, evidence: Evidence): Promise<void> {
  const log = await bed.guest.shell.run("dmesg");
  evidence("the guest's kernel log", () => log);
  const lines = complaints(log);
  if (lines.length > 0) throw new Error(lines.join("\n"));
}

/** With VFMIG_UPDATE=1 the record is written anew; otherwise it must be what this run was. */
async function checkRecord(
  kind: BedKind,
  requests: readonly RequestReport[],
  update: boolean,
): Promise<Figures> {
  const record = recordOf(requests);
  if (record === undefined) throw new Error("no process told what it asked");
  if (update) writeRecord(kind, record);
  const found = differences(kind, record);
  if (found.length === 0) return { kernel: record.kernel };
  throw new Error(
    `${found.join("\n")}\nCases that failed ask less. Otherwise run the stage with VFMIG_UPDATE=1, and then the package's tests.`,
  );
}

interface Chosen {
  readonly file: CaseFile;
  readonly cases: readonly BedCase[];
}

async function chosen(recorder: Recorder, { kind, host }: Part): Promise<Chosen[]> {
  const found: Chosen[] = [];
  const files = CASE_FILES.filter((file) => file.kinds.includes(kind));
  for (const file of files.filter((each) => (each.host ?? false) === host)) {
    const all = await casesOf(file);
    const cases = all.filter(({ name }) => recorder.wants(title(file, name)));
    if (cases.length > 0) found.push({ file, cases });
  }
  return found;
}

function title(file: CaseFile, name: string): string {
  return `${file.title}: ${name}`;
}

function lack(recorder: Recorder, names: readonly string[], reason: string): void {
  const why = `The kernel's sample driver mtty could not be built: ${reason}`;
  for (const name of names) {
    if (process.env["CI"] === "true") recorder.failed(name, why);
    else recorder.skipped(name, why);
  }
}

function limitMs({ limitSeconds = DEFAULT_LIMIT_SECONDS }: BedCase): number {
  return limitSeconds * 1000;
}

/** Runs the cases of a file in one process; after a case that ended it, the rest in a new one. */
async function runFile(
  bed: Bed,
  recorder: Recorder,
  file: CaseFile,
  cases: readonly BedCase[],
): Promise<RequestReport[]> {
  const runs: CaseRun[] = [];
  const start = (from: number): CaseRun => {
    const rest = cases.slice(from);
    const limit = rest.reduce((sum, each) => sum + limitMs(each), START_MS);
    const names = rest.map(({ name }) => name);
    const run = new CaseRun(bed, file.path, names, limit);
    runs.push(run);
    return run;
  };
  let run: CaseRun | undefined;
  for (const [index, each] of cases.entries()) {
    if (run?.canTell(each.name) !== true) run = start(index);
    const passed = await runCase(bed, recorder, file, each, run);
    // After a case that took too long the process ends itself; the next one must not wait for its word.
    if (!passed)
      await Promise.race([run.ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
  }
  await run?.ended;
  return runs.flatMap(({ requests }) => (requests === undefined ? [] : [requests]));
}

async function runCase(
  bed: Bed,
  recorder: Recorder,
  file: CaseFile,
  each: BedCase,
  run: CaseRun,
): Promise<boolean> {
  const body = async (evidence: (heading: string, text: () => string) => void) => {
    evidence("what the process in the guest printed", () => run.words);
    evidence("QEMU's stderr", () => bed.guest.machine.child.stderr);
    evidence("the guest's console", () => bed.guest.console);
    return run.outcome(each.name);
  };
  return recorder.run(title(file, each.name), body, limitMs(each) + START_MS);
}
