// `npm start`: sets up, builds, and runs the main job with the arguments given after `--`.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { build, pinnedNode, root, setUp, toolEnvironment } from "./toolchain.mjs";

await setUp();
await build();
const cli = join(root, "packages", "cli", "bin", "vfmig.js");
const config = join(root, "examples", "demo", "vfmig.config.ts");
const child = spawn(pinnedNode(), [cli, "demo", "--config", config, ...process.argv.slice(2)], {
  stdio: "inherit",
  env: toolEnvironment(),
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("close", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
