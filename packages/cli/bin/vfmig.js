#!/usr/bin/env node
// Older Node would fail at the first configuration in TypeScript, with an error that names neither.
const needed = 24;
if (Number(process.versions.node.split(".")[0]) < needed) {
  process.stderr.write(
    `vfmig needs Node ${needed} or newer, and runs on ${process.version} (${process.execPath}). ` +
      `Install Node ${needed}, or run it as "npx -y node@${needed} ${process.argv[1]}".\n`,
  );
  process.exitCode = 4;
} else {
  await import("../dist/main.js");
}
