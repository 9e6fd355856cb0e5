export { exitCodeFor } from "./exit-code-for.ts";
export { EXIT } from "./exit-codes.ts";
export { runCli } from "./program.ts";
