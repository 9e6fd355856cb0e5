import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { configCommand } from "./commands/config.ts";
import { demoCommand } from "./commands/demo.ts";
import { devicesCommand } from "./commands/devices.ts";
import { pluginCommand } from "./commands/plugin.ts";
import { recordingCommands } from "./commands/recording.ts";
import { replaceCommand } from "./commands/replace.ts";
import { serveCommand } from "./commands/serve.ts";
import { stateCommand } from "./commands/state.ts";
import { EXIT, exitCodeHelp } from "./exit-codes.ts";
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
 * Runs one command line. The commands are declared here with all that help says of them; what a command does is
 * loaded when it is run, since over a slow file system loading everything takes seconds.
 *
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
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // Whoever made no mistake is not kept waiting for what tells of one.
    const { reportError, reportUsage } = await import("./output/report-error.ts");
    const json = words.includes("--json");
    if (!(error instanceof CommanderError)) return reportError(terminal, error, json);
    return reportUsage(terminal, error.message, json);
  }
}

/** Also those below a command, such as `config check`. */
function tellExitCodes(command: Command): void {
  command.addHelpText("after", exitCodeHelp());
  for (const each of command.commands) tellExitCodes(each);
}
