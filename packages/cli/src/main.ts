import { runCli } from "./program.ts";

const code = await runCli(process.argv.slice(2));
// A package of the configuration may have left something that keeps the process alive, and all is done.
process.exit(code);
