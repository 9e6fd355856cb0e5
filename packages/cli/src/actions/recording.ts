import {
  attribute,
  readRecording,
  systemClock,
  VfmigError,
  type Attribution,
  type AttributionRuns,
  type DriverMode,
  type Recording,
} from "@vfmig/core";
import { replayFile } from "@vfmig/host";
import type { ReplayOptions } from "../commands/recording.ts";
import { EXIT } from "../exit-codes.ts";
import { bytesOf, checkWritable } from "../input/files.ts";
import { attributionText } from "../output/attribution-text.ts";
import { terminalLogger } from "../output/terminal.ts";
import type { CommandContext } from "../program.ts";

/** Does again what a recording's guest did, and records it. */
export async function replay(
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

/** Compares recordings of one run. */
export async function diff(
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

/** Replays a recording under ever more layers, and says which one differs. */
export async function attributeFile(
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
