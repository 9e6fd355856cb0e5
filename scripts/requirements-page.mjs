// Writes docs/requirements.md from docs/requirements.json: node scripts/requirements-page.mjs [--check]
// With --check it writes nothing and fails where the page is not the current one. Prints how many there are of each status.
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const data = new URL("../docs/requirements.json", import.meta.url);
const page = new URL("../docs/requirements.md", import.meta.url);

/** Statuses, and what the page calls them. */
const statuses = {
  tested: "tested",
  untested: "not tested yet",
  "waits-for-catalogue": "waits for the testkit's catalogue",
  "not-applicable": "does not apply",
};

const intro = `# Requirements, and where each is tested

R1 to R48 are what the objections to earlier attempts ask of this project; C1 to C78 are the checks that the bugs of other
migration drivers suggest. Each says which test proves it, by file and title; the words behind it say which part is proven
where that is not all of it. Tests in \`test/e2e\` run with \`npm run test:e2e\`, those in \`test/product\` with
\`npm run test:product\`, cases in \`src/conformance\` both in the unit tests on a fake kernel and in the end-to-end run on real ones;
all others with \`npm test\`. A check that is tested here is not yet one that any plugin can be put to: that is what the
testkit's catalogue of checks will be.

This page is made from [requirements.json](requirements.json) by \`node scripts/requirements-page.mjs\`, and a test holds that to the
tests that it names.
`;

function where({ tests = [], note }) {
  const lines = tests.map(
    ({ file, title }) => `[${basename(file)}](../${file}): \`${title.replaceAll("|", "\\|")}\``,
  );
  if (note !== undefined) lines.push(`*${note}*`);
  return lines.join("<br>");
}

function table(entries) {
  const rows = entries.map(
    (entry) => `| ${entry.id} | ${entry.text} | ${statuses[entry.status]} | ${where(entry)} |`,
  );
  return ["| Id | What | Status | Where |", "|---|---|---|---|", ...rows, ""].join("\n");
}

function counts(entries) {
  return Object.entries(statuses)
    .map(([status, name]) => [entries.filter((entry) => entry.status === status).length, name])
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${count} ${name}`)
    .join(", ");
}

const { requirements, checks } = JSON.parse(await readFile(data, "utf8"));
const said = `Of ${requirements.length} requirements: ${counts(requirements)}. Of ${checks.length} checks: ${counts(checks)}.`;
const text = [
  intro,
  `${said}\n`,
  "## Requirements\n",
  table(requirements),
  "## Checks\n",
  table(checks),
].join("\n");

if (process.argv.includes("--check")) {
  const current = await readFile(page, "utf8").catch(() => "");
  if (current !== text) {
    process.stderr.write(
      "docs/requirements.md is not current; run: node scripts/requirements-page.mjs\n",
    );
    process.exitCode = 1;
  }
} else {
  await writeFile(page, text);
  process.stderr.write(`${fileURLToPath(page)} written\n`);
}
process.stdout.write(`${said}\n`);
