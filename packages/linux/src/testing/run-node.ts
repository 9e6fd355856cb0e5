import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Run {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs `script` (ES module in TypeScript) in a process of its own, for what would end the process of the tests. It reaches this
 * package as `@vfmig/linux`. `files` limits its open files.
 */
export function runNode(script: string, files?: number): Run {
  const node = [
    process.execPath,
    "--expose-gc",
    "--conditions=@vfmig/source",
    "--input-type=module-typescript",
    "-e",
    script,
  ];
  const [command = "", ...parameters] =
    files === undefined ? node : ["sh", "-c", `ulimit -n ${files}; exec "$@"`, "sh", ...node];
  const run = spawnSync(command, parameters, {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    encoding: "utf8",
    timeout: 15_000,
  });
  return { code: run.status, signal: run.signal, out: run.stdout, err: run.stderr };
}
