export { EXIT, exitCodeFor } from "./exit-codes.ts";
export { runCli } from "./program.ts";
