// Writes, or with --check compares, one API report per package: packages/<name>/api/<name>.api.md.
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";
import { root } from "./toolchain.mjs";

const check = process.argv.includes("--check");
const only = process.argv.slice(2).filter((word) => !word.startsWith("-"));
let failed = 0;
for (const name of (await readdir(join(root, "packages"))).toSorted()) {
  if (only.length > 0 && !only.includes(name)) continue;
  if (!(await report(name))) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);

async function report(name) {
  const folder = join(root, "packages", name);
  const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  if (manifest.private) return true;
  await mkdir(join(folder, "api"), { recursive: true });
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: join(folder, "dist", "index.d.ts"),
      compiler: { tsconfigFilePath: join(folder, "tsconfig.json") },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: join(folder, "api"),
        reportTempFolder: join(folder, "temp"),
        includeForgottenExports: false,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, "package.json"),
  });
  const result = Extractor.invoke(config, {
    localBuild: !check,
    showVerboseMessages: false,
    messageCallback: (message) => {
      if (message.messageId.startsWith("console-")) message.handled = true;
    },
  });
  const missing = check && !existsSync(join(folder, "api", `${name}.api.md`));
  const same = !result.apiReportChanged && !missing;
  if (check && !same) {
    process.stderr.write(
      `${name}: the API report is not current; run node scripts/api-reports.mjs ${name}\n`,
    );
  }
  return result.errorCount === 0 && (same || !check);
}
