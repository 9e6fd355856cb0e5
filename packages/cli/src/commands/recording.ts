import { Option, type Command } from "commander";
import type { DriverMode } from "@vfmig/core";
import { DRIVER_MODE_CHOICES } from "../input/driver-modes.ts";
import type { CommandContext } from "../program.ts";

export interface ReplayOptions {
  readonly config: string;
  readonly device?: string;
  readonly mode: DriverMode;
  readonly output?: string;
  readonly ignore?: readonly string[];
  readonly json?: boolean;
  readonly verbose?: boolean;
}

const EXAMPLES = `
Examples:
  vfmig serve --record /tmp/run                     record a run, into /tmp/run.<device>
  vfmig attribute /tmp/run.vf0                      replay it with ever more layers; whose fault is it?
  vfmig attribute /tmp/run.vf0 --ignore "memory 0x100023008"
                                                    leave out a difference that is known and meant

Ends with 0 where no layer changed what the guest sees, with 1 where one did, and with 6 where nobody can say,
since no replay shows what was recorded: a frame that cannot be given again, or another moment.`;

/** `vfmig replay`, `vfmig diff` and `vfmig attribute`: whose fault is what a guest sees? */
export function recordingCommands(program: Command, context: CommandContext): void {
  withDevice(program.command("replay"))
    .description(
      "Do again to a fresh device what a recording's guest did, and record what it sees.",
    )
    .addOption(
      new Option("--mode <mode>", "how the driver runs")
        .choices(DRIVER_MODE_CHOICES)
        .default("active"),
    )
    .requiredOption("-o, --output <file>", "where the replay is recorded")
    .action(async (file: string, options: ReplayOptions) => {
      const { replay } = await import("../actions/recording.ts");
      await replay(file, options, context);
    });
  withIgnore(program.command("diff"))
    .description(
      "Compare recordings of one run; print the first difference and the layer that made it.",
    )
    .argument("<files...>", "two to four recordings: replays, and what they repeat")
    .option("--json", "print one JSON object on stdout")
    .action(async (files: readonly string[], options: ReplayOptions) => {
      const { diff } = await import("../actions/recording.ts");
      await diff(files, options, context);
    });
  withIgnore(withDevice(program.command("attribute")))
    .description(
      "Replay a recording on the base, a transparent driver and the active one, and compare.",
    )
    .addHelpText("after", EXAMPLES)
    .action(async (file: string, options: ReplayOptions) => {
      const { attributeFile } = await import("../actions/recording.ts");
      await attributeFile(file, options, context);
    });
}

function withDevice(command: Command): Command {
  return command
    .argument("<file>", "a recording, as serve --record and demo --record write it")
    .option("-c, --config <path>", "configuration file, or the folder that holds it", ".")
    .option("-d, --device <name>", "the configuration's device; default: its only one")
    .option("--json", "print one JSON object on stdout")
    .option("-v, --verbose", "show what the layers log");
}

function withIgnore(command: Command): Command {
  return command.option("--ignore <key...>", "differences that are known and meant");
}
