import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { VfmigError } from "@vfmig/core";
import { configCommand } from "./commands/config.ts";
import { demoCommand } from "./commands/demo.ts";
import { devicesCommand } from "./commands/devices.ts";
import { pluginCommand } from "./commands/plugin.ts";
import { recordingCommands } from "./commands/recording.ts";
import { replaceCommand } from "./commands/replace.ts";
import { serveCommand } from "./commands/serve.ts";
import { stateCommand } from "./commands/state.ts";
import { EXIT, exitCodeFor, exitCodeHelp } from "./exit-codes.ts";
import { createTerminal, type Terminal } from "./output/terminal.ts";

/** What every command gets. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Sets the exit code of the run. */
  readonly exit: (code: number) => void;
}

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

const HELP_AFTER = `
Results go to stdout, everything else to stderr; every command takes --json.`;

/**
 * Runs one command line.
 * @param words what follows the program's name
 * @returns the exit code
 */
export async function runCli(words: readonly string[]): Promise<number> {
  const terminal = createTerminal();
  let code: number = EXIT.ok;
  const context: CommandContext = { terminal, exit: (value) => (code = value) };
  const program = new Command("vfmig")
    .description("Live migration for passed-through NIC virtual functions, in user space.")
    .version(version)
    .addHelpText("after", HELP_AFTER)
    .showHelpAfterError("--help behind a command lists what it takes, with examples.")
    .exitOverride()
    .configureOutput({ writeErr: (text) => terminal.note(text.trimEnd()) });
  for (const add of [
    demoCommand,
    serveCommand,
    replaceCommand,
    configCommand,
    pluginCommand,
    stateCommand,
    recordingCommands,
    devicesCommand,
  ])
    add(program, context);
  tellExitCodes(program);
  try {
    await program.parseAsync(words, { from: "user" });
    return code;
  } catch (error) {
    const json = words.includes("--json");
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      // What commander has written on stderr already.
      const message = error.message.replace(/^error: /u, "");
      if (json) reportJson(terminal, usageError(message));
      return EXIT.usage;
    }
    report(terminal, error, json);
    return exitCodeFor(error);
  }
}

/** Also those below a command, such as `config check`. */
function tellExitCodes(command: Command): void {
  command.addHelpText("after", exitCodeHelp());
  for (const each of command.commands) tellExitCodes(each);
}

function usageError(message: string): VfmigError {
  return new VfmigError("ERR_VFMIG_CLI_USAGE", message, { layer: "cli" });
}

function reportJson(terminal: Terminal, error: unknown): void {
  const plain = VfmigError.is(error)
    ? { code: error.code, layer: error.layer, message: error.message, details: error.details }
    : { code: null, layer: null, message: String(error) };
  terminal.result(JSON.stringify({ schemaVersion: 1, error: plain }, bigintsAsText));
}

function report(terminal: Terminal, error: unknown, json: boolean): void {
  if (json) reportJson(terminal, error);
  if (!VfmigError.is(error)) {
    terminal.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
    terminal.note("This is a fault in vfmig; please report it with the lines above.");
    return;
  }
  terminal.note(`${error.code} (${error.layer}): ${error.message}`);
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
