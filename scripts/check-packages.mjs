// Packs every published package and asks publint and attw whether a consumer could use the tarball.
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, toolEnvironment } from "./toolchain.mjs";

const tool = (name) => join(root, "node_modules", ".bin", name);
const folder = await mkdtemp(join(tmpdir(), "vfmig-pack-"));
let failed = 0;
try {
  for (const name of (await readdir(join(root, "packages"))).toSorted()) {
    const source = join(root, "packages", name);
    const manifest = JSON.parse(await readFile(join(source, "package.json"), "utf8"));
    if (manifest.private) continue;
    const packed = call("pnpm", ["pack", "--pack-destination", folder], source);
    const tarball = join(
      folder,
      `${manifest.name.slice(1).replace("/", "-")}-${manifest.version}.tgz`,
    );
    const lint = packed && call("publint", ["run", tarball, "--strict"], root);
    const types = packed && call("attw", [tarball, "--profile", "esm-only", "--no-emoji"], root);
    if (!packed || !lint || !types) failed += 1;
    process.stderr.write(`${name}: ${packed && lint && types ? "ok" : "FAILED"}\n`);
  }
} finally {
  await rm(folder, { recursive: true });
}
process.exit(failed === 0 ? 0 : 1);

function call(name, args, cwd) {
  const result = spawnSync(tool(name), args, { cwd, env: toolEnvironment(), encoding: "utf8" });
  if (result.status !== 0)
    process.stderr.write(`${name} ${args.join(" ")}\n${result.stdout}${result.stderr}\n`);
  return result.status === 0;
}
