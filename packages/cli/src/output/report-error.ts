import { VfmigError } from "@vfmig/core/errors";
import { exitCodeFor } from "../exit-code-for.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Tells a person, and with `json` also a program, what went wrong.
 * @returns the exit code for it
 */
export function reportError(terminal: Terminal, error: unknown, json: boolean): number {
  if (json) reportJson(terminal, error);
  if (VfmigError.is(error)) {
    terminal.note(`${error.code} (${error.layer}): ${error.message}`);
  } else {
    terminal.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
    terminal.note("This is a fault in vfmig; please report it with the lines above.");
  }
  return exitCodeFor(error);
}

/** The same for what commander refused, which is on stderr already. */
export function reportUsage(terminal: Terminal, message: string, json: boolean): number {
  const text = message.replace(/^error: /u, "");
  const error = new VfmigError("ERR_VFMIG_CLI_USAGE", text, { layer: "cli" });
  if (json) reportJson(terminal, error);
  return exitCodeFor(error);
}

function reportJson(terminal: Terminal, error: unknown): void {
  const plain = VfmigError.is(error)
    ? { code: error.code, layer: error.layer, message: error.message, details: error.details }
    : { code: null, layer: null, message: String(error) };
  terminal.result(JSON.stringify({ schemaVersion: 1, error: plain }, bigintsAsText));
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
