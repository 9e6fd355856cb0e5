import { Option, type Command } from "commander";
import { replayFile } from "@vfmig/host";
import {
  attribute,
  DRIVER_MODES,
  readRecording,
  systemClock,
  VfmigError,
  type Attribution,
  type AttributionRuns,
  type DriverMode,
  type Recording,
} from "@vfmig/core";
import { EXIT } from "../exit-codes.ts";
import { bytesOf } from "../input/read-file.ts";
import { checkWritable } from "../files.ts";
import { attributionText } from "../output/attribution-text.ts";
import { terminalLogger } from "../output/terminal.ts";
import type { CommandContext } from "../program.ts";

interface ReplayOptions {
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
      new Option("--mode <mode>", "how the driver runs").choices(DRIVER_MODES).default("active"),
    )
    .requiredOption("-o, --output <file>", "where the replay is recorded")
    .action((file: string, options: ReplayOptions) => replay(file, options, context));
  withIgnore(program.command("diff"))
    .description(
      "Compare recordings of one run; print the first difference and the layer that made it.",
    )
    .argument("<files...>", "two to four recordings: replays, and what they repeat")
    .option("--json", "print one JSON object on stdout")
    .action((files: readonly string[], options: ReplayOptions) => diff(files, options, context));
  withIgnore(withDevice(program.command("attribute")))
    .description(
      "Replay a recording on the base, a transparent driver and the active one, and compare.",
    )
    .addHelpText("after", EXAMPLES)
    .action((file: string, options: ReplayOptions) => attributeFile(file, options, context));
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

async function replay(
  file: string,
  options: ReplayOptions,
  context: CommandContext,
): Promise<void> {
  await checkWritable("--output", options.output);
  // Read here as well, so that a file that is none is not a device's failure.
  await recordingOf(file);
  const replayed = await replayIn(file, options.mode, options, context);
  const report = {
    schemaVersion: 1,
    mode: replayed.mode,
    identity: replayed.identity,
    output: options.output,
    events: replayed.events.length,
    missedInterrupts: replayed.events.filter(({ kind }) => kind === "missed").length,
  };
  context.terminal.result(
    options.json
      ? JSON.stringify(report)
      : `${report.events} events in ${String(options.output)}, ${report.missedInterrupts} interrupts waited for in vain`,
  );
}

async function diff(
  files: readonly string[],
  options: ReplayOptions,
  { terminal, exit }: CommandContext,
): Promise<void> {
  if (files.length < 2 || files.length > 4) {
    throw new VfmigError(
      "ERR_VFMIG_CLI_USAGE",
      `diff takes two to four recordings, and ${files.length === 1 ? "one was" : `${files.length} were`} given. "vfmig replay" makes more of one.`,
      {
        layer: "cli",
        details: { files },
      },
    );
  }
  const recordings = await Promise.all(files.map((file) => recordingOf(file)));
  const runs = runsOf(recordings);
  const result = attribute(runs, { ignore: options.ignore ?? [] });
  tell(result, options, { terminal, exit });
}

/**
 * Which run each file is. A file that says that it is a replay is one, in whichever order they come; where
 * none does, the last of two active ones is what the others repeat.
 */
function runsOf(recordings: readonly Recording[]): AttributionRuns {
  const originals = recordings.filter(({ replay }) => replay !== true);
  const known = originals.length < recordings.length ? originals[0] : undefined;
  if (known !== undefined && originals.length > 1) {
    throw new VfmigError(
      "ERR_VFMIG_CLI_USAGE",
      `${originals.length} of these files are no replays. Give one recording at most, and replays of it (vfmig replay).`,
      { layer: "cli" },
    );
  }
  const of = (mode: DriverMode): readonly Recording[] =>
    recordings.filter((recording) => recording.mode === mode && recording !== known);
  const [transparent, recordedTransparent] = of("transparent");
  const [active, recordedActive] = of("active");
  return {
    recorded: known ?? recordedActive ?? recordedTransparent,
    base: of("base"),
    transparent,
    active,
  };
}

async function attributeFile(
  file: string,
  options: ReplayOptions,
  context: CommandContext,
): Promise<void> {
  const { terminal } = context;
  const recorded = await recordingOf(file);
  const run = async (mode: DriverMode, step: number): Promise<Recording> => {
    terminal.progress(step / 4, `replaying: ${mode}`);
    return replayIn(file, mode, { ...options, output: undefined }, context);
  };
  const base = [await run("base", 0), await run("base", 1)];
  const transparent = await run("transparent", 2);
  const active = await run("active", 3);
  terminal.clear();
  const result = attribute(
    { recorded, base, transparent, active },
    { ignore: options.ignore ?? [] },
  );
  tell(result, options, context);
}

function tell(
  result: Attribution,
  { json }: ReplayOptions,
  { terminal, exit }: CommandContext,
): void {
  terminal.result(json ? JSON.stringify(asJson(result)) : attributionText(result));
  if (result.difference !== undefined) exit(EXIT.failed);
  else if (result.unreproduced !== undefined) exit(EXIT.undecided);
}

/** What is absent stands there as null. */
function asJson(result: Attribution): object {
  const { layer = null, difference = null, unreproduced = null, horizon = null } = result;
  return { schemaVersion: 1, ...result, layer, difference, unreproduced, horizon };
}

function replayIn(
  file: string,
  mode: DriverMode,
  {
    config,
    device,
    output,
    verbose,
  }: Omit<ReplayOptions, "output"> & { readonly output?: string | undefined },
  { terminal }: CommandContext,
): Promise<Recording> {
  const logger = terminalLogger(terminal, verbose ?? false);
  return replayFile({ file, config, device, mode, output, logger, clock: systemClock });
}

async function recordingOf(file: string): Promise<Recording> {
  return readRecording(await bytesOf(file));
}
