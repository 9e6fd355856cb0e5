// Set-up for a machine that has only Node 20 or newer and npm. The rest of the repository runs on the
// Node that the lockfile pins, so this file alone is kept to what Node 20 knows.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PNPM = "pnpm@12.21.0";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");
const stamp = join(root, "node_modules", ".cache", "vfmig-setup");

/** Environment in which the workspace's own tools, and its Node, come first. */
export function toolEnvironment(extra = {}) {
  return { ...process.env, ...extra, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` };
}

/** The Node that the lockfile pins, or this one where it ships no binary for the machine. */
export function pinnedNode() {
  const pinned = join(bin, "node");
  return existsSync(pinned) ? pinned : process.execPath;
}

/** Runs a command; resolves with its exit code. `quiet` keeps its output unless it fails. */
export function run(
  command,
  args,
  { quiet = false, env = toolEnvironment(), toStderr = false } = {},
) {
  return new Promise((resolve, reject) => {
    const output = quiet ? "pipe" : toStderr ? 2 : "inherit";
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ["ignore", output, quiet ? "pipe" : 2],
    });
    const kept = [];
    child.stdout?.on("data", (chunk) => kept.push(chunk));
    child.stderr?.on("data", (chunk) => kept.push(chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const failed = code ?? (signal === null ? 1 : 128);
      if (quiet && failed !== 0) process.stderr.write(Buffer.concat(kept));
      resolve(failed);
    });
  });
}

/** Installs what the lockfile names, unless that was done for this very lockfile before. */
export async function setUp() {
  const wanted = await fingerprint();
  const found = existsSync(stamp) ? await readFile(stamp, "utf8") : "";
  if (found === wanted) return;
  note("Setting up: installing the packages that the lockfile names (once) ...");
  const code = await run("npx", ["-y", PNPM, "install", "--frozen-lockfile"], { quiet: true });
  if (code !== 0) {
    note("Set-up failed; see above. It needs the npm registry and about 500 MB of disk.");
    process.exit(4);
  }
  await mkdir(dirname(stamp), { recursive: true });
  await writeFile(stamp, wanted);
}

/** Compiles what changed since the last time. */
export async function build() {
  const code = await run(join(bin, "tsc"), ["-b"], { toStderr: true });
  if (code !== 0) process.exit(1);
}

/** Words for a person, on stderr so that stdout stays the program's. */
export function note(text) {
  process.stderr.write(`${text}\n`);
}

async function fingerprint() {
  const hash = createHash("sha256").update(process.platform).update(process.arch);
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"];
  for (const folder of ["packages", "examples"]) {
    const names = await readdir(join(root, folder));
    for (const name of names.toSorted()) files.push(join(folder, name, "package.json"));
  }
  for (const file of files) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`\0${file}\0`).update(await readFile(path));
  }
  return hash.digest("hex");
}
