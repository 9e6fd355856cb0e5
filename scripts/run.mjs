// `npm test`, `npm run verify` and `npm run bench`: each sets up what it needs, then runs its steps.
import { readFile, readdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { build, note, pinnedNode, root, run, setUp } from "./toolchain.mjs";

const node = pinnedNode;
const tool = (name) => join(root, "node_modules", ".bin", name);

/** What a vitest project said; undefined where it wrote no report. */
async function project(name, flags) {
  const report = join(root, "node_modules", ".cache", `vitest-${name}.json`);
  await rm(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const code = await run(tool("vitest"), ["run", "--project", name, ...reporters, ...flags]);
  if (existsSync(report)) return { code, ...JSON.parse(await readFile(report, "utf8")) };
  note(`vitest wrote no report of ${name}`);
  return undefined;
}

/** Runs vitest projects one after the other and closes with the line that people and machines read. */
async function vitest(projects, extra) {
  let [passed, failed, skipped, code] = [0, 0, 0, 0];
  for (const [name, flags] of Object.entries(projects)) {
    // Words on the command line may mean files of one project only.
    const said = await project(name, [...flags, "--passWithNoTests", ...extra]);
    code ||= said === undefined || !said.success ? 1 : said.code;
    if (said?.success && said.code !== 0) {
      note(`${name}: no test failed, but errors outside of tests did; they stand above the sums`);
    }
    passed += said?.numPassedTests ?? 0;
    failed += said?.numFailedTests ?? 0;
    skipped += said?.numPendingTests ?? 0;
  }
  const left = skipped > 0 ? `, ${skipped} skipped` : "";
  process.stdout.write(`${passed} passed, ${failed} failed${left}\n`);
  return passed > 0 ? code : code || 1;
}

const steps = {
  types: () => run(tool("tsc"), ["-p", "tsconfig.test.json"]),
  lint: () => run(tool("oxlint"), ["--type-aware", "--deny-warnings"]),
  format: () => run(tool("oxfmt"), ["--check"]),
  unused: () => run(tool("knip"), []),
  errors: () => run(node(), ["scripts/errors-page.mjs", "--check"]),
  api: () => run(node(), ["scripts/api-reports.mjs", "--check"]),
  packages: () => run(node(), ["scripts/check-packages.mjs"]),
  product: () => vitest({ product: [] }, []),
};

/** Whole tests have processes of their own and frames to keep up with: one at a time. */
async function test(extra) {
  return vitest({ unit: ["--maxWorkers=2"], whole: [] }, extra);
}

/** Everything that gates besides `npm test`, with a table of steps at the end. */
async function rest(names) {
  const rows = [];
  let failed = 0;
  for (const name of names) {
    const begin = Date.now();
    note(`\n== ${name}`);
    const code = await steps[name]();
    if (code !== 0) failed += 1;
    rows.push([
      name,
      code === 0 ? "ok" : "FAILED",
      `${((Date.now() - begin) / 1000).toFixed(1)} s`,
    ]);
  }
  note("");
  for (const [name, result, time] of rows) note(`${name.padEnd(10)} ${result.padEnd(8)} ${time}`);
  return failed === 0 ? 0 : 1;
}

async function bench(extra) {
  const only = extra.filter((word) => !word.startsWith("-"));
  const flags = extra.filter((word) => word.startsWith("-"));
  let failed = 0;
  for (const name of (await readdir(join(root, "packages"))).toSorted()) {
    const folder = join(root, "packages", name, "bench");
    if (!existsSync(folder)) continue;
    for (const file of (await readdir(folder)).filter((f) => f.endsWith(".bench.ts")).toSorted()) {
      if (only.length > 0 && !only.some((word) => `${name}/${file}`.includes(word))) continue;
      note(`\n== ${name}/${file}`);
      if ((await run(node(), ["--expose-gc", join(folder, file), ...flags])) !== 0) failed += 1;
    }
  }
  return failed === 0 ? 0 : 1;
}

const [task, ...extra] = process.argv.slice(2);
await setUp();
await build();
if (task === "test") process.exit(await test(extra));
if (task === "bench") process.exit(await bench(extra));
if (task === "rest") process.exit(await rest(extra.length > 0 ? extra : Object.keys(steps)));
if (task === "verify") {
  const gates = await rest(Object.keys(steps));
  process.exit((await test(extra)) || gates);
}
if (task === "e2e") process.exit(await run(node(), ["test/e2e/main.ts", ...extra]));
note(`scripts/run.mjs: unknown task ${task}; one of test, verify, rest, bench, e2e`);
process.exit(2);
