import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Artifacts } from "../fetch/artifacts.ts";
import { Bed, type BedKind } from "./bed.ts";

const HELP = `The guest of stage "kernel", by hand.

  node test/e2e/kernel/by-hand.ts                       lines of stdin are commands of the guest's shell
  node test/e2e/kernel/by-hand.ts FILE [WORD...]        runs a script of the clone by Node inside
  node test/e2e/kernel/by-hand.ts --cases FILE [NAME...] runs a file of cases, or those named

Everything that the host has is there read-only, at its own path; /tmp and /run are the guest's own. In the shell
"script FILE WORD..." runs Node inside and sees what was changed on the host meanwhile. --limit SECONDS: default 600.
--kernel debian | iommufd | mock: another kernel than Debian's is built if it is not there; mock has no IOMMU.
`;

const KINDS: readonly BedKind[] = ["debian", "iommufd", "mock"];

const note = (text: string): void => void process.stderr.write(`${text}\n`);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      cases: { type: "boolean", default: false },
      kernel: { type: "string", default: "debian" },
      limit: { type: "string", default: "600" },
      help: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const kind = KINDS.find((each) => each === values.kernel);
  if (kind === undefined) {
    note(`There is no kernel "${values.kernel}".\n${HELP}`);
    return 2;
  }
  const limitMs = Number(values.limit) * 1000;
  await using bed = await Bed.start(new Artifacts(note), kind);
  await bed.ready();
  const [file, ...words] = positionals;
  if (file === undefined) return await shell(bed, limitMs);
  const path = resolve(file);
  const run = values.cases
    ? bed.cases(path, words, limitMs, say)
    : bed.node([path, ...words], limitMs, say);
  const code = await run;
  if (code !== 0) note(`ended with ${code}; the guest's kernel logged last:\n${await log(bed)}`);
  return code;
}

/** One command after the other, until stdin ends. */
async function shell(bed: Bed, limitMs: number): Promise<number> {
  note("the guest is there");
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    const { code } = await bed.guest.shell.try(line, limitMs, say);
    if (code !== 0) note(`ended with ${code}`);
  }
  return 0;
}

async function log(bed: Bed): Promise<string> {
  return (await bed.guest.shell.try("dmesg | tail -15")).output;
}

process.exitCode = await main();
