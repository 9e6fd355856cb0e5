// `npm start`: sets up, builds, and runs the main job with the arguments given after `--`.
// `npm run vfmig`: the same for any command of vfmig.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { build, pinnedNode, root, setUp, toolEnvironment } from "./toolchain.mjs";

const demo = ["demo", "--config", join(root, "examples", "demo", "vfmig.config.ts")];
const given = process.argv.slice(2);
const words = given[0] === "--any" ? given.slice(1) : [...demo, ...given];

await setUp();
await build();
const child = spawn(pinnedNode(), [join(root, "packages", "cli", "bin", "vfmig.js"), ...words], {
  stdio: "inherit",
  env: toolEnvironment(),
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("close", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
