// Writes, or with --check compares, one API report per import path of each package:
// packages/<name>/api/<name>[.<subpath>].api.md. Words on the command line choose packages.
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  CompilerState,
  Extractor,
  ExtractorConfig,
  ExtractorLogLevel,
} from "@microsoft/api-extractor";
import { root } from "./toolchain.mjs";

const check = process.argv.includes("--check");
const only = process.argv.slice(2).filter((word) => !word.startsWith("-"));
let failed = 0;
for (const name of (await readdir(join(root, "packages"))).toSorted()) {
  if (only.length > 0 && !only.includes(name)) continue;
  if (!(await reports(name))) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);

async function reports(name) {
  const folder = join(root, "packages", name);
  const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  if (manifest.private) return true;
  await mkdir(join(folder, "api"), { recursive: true });
  const configs = entries(manifest).map((entry) => configOf(name, entry));
  // One program serves all entries of a package.
  const compilerState = CompilerState.create(configs[0], {
    additionalEntryPoints: configs.slice(1).map((config) => config.mainEntryPointFilePath),
  });
  const current = configs.map((config) => report(name, config, compilerState));
  return (await noneLeft(folder, name, configs)) && current.every(Boolean);
}

/** The import paths that have types: `.` first, then the subpaths. */
function entries(manifest) {
  return Object.entries(manifest.exports)
    .filter(([, target]) => target.types !== undefined)
    .map(([path, { types }]) => ({ subpath: path.slice(2), types }));
}

function configOf(name, { subpath, types }) {
  const folder = join(root, "packages", name);
  const level = (logLevel) => ({ default: { logLevel } });
  return ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: join(folder, types),
      compiler: { tsconfigFilePath: join(folder, "tsconfig.json") },
      apiReport: {
        enabled: true,
        reportFileName: `${[name, ...subpath.split("/")].filter(Boolean).join(".")}.api.md`,
        reportFolder: join(folder, "api"),
        reportTempFolder: join(folder, "temp"),
        includeForgottenExports: false,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: level(ExtractorLogLevel.Error),
        extractorMessageReporting: level(ExtractorLogLevel.None),
        tsdocMessageReporting: level(ExtractorLogLevel.None),
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, "package.json"),
  });
}

function report(name, config, compilerState) {
  const result = Extractor.invoke(config, {
    compilerState,
    localBuild: !check,
    showVerboseMessages: false,
    messageCallback: (message) => {
      if (message.messageId.startsWith("console-")) message.handled = true;
    },
  });
  const missing = check && !existsSync(config.reportFilePath);
  const same = !result.apiReportChanged && !missing;
  if (check && !same) stale(name, config.reportFilePath);
  return result.errorCount === 0 && (same || !check);
}

/** A subpath that is gone takes its report with it. */
async function noneLeft(folder, name, configs) {
  const wanted = new Set(configs.map((config) => config.reportFilePath));
  const files = (await readdir(join(folder, "api"))).map((file) => join(folder, "api", file));
  const left = files.filter((file) => !wanted.has(file));
  for (const file of left) {
    if (check) stale(name, file);
    else await rm(file);
  }
  return !check || left.length === 0;
}

function stale(name, file) {
  process.stderr.write(
    `${file.slice(root.length + 1)} is not current; run node scripts/api-reports.mjs ${name}\n`,
  );
}
