import type { Command } from "commander";
import { askControl } from "@vfmig/host";
import type { ReplacementOutcome } from "@vfmig/core";
import type { CommandContext } from "../program.ts";

interface ReplaceOptions {
  readonly with: string;
  readonly control: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  vfmig serve --control /run/vfmig.sock                           in one terminal
  vfmig replace vf0 --with spare --control /run/vfmig.sock        the guest goes on with "spare"
  vfmig replace vf0 --with vf0 --control /run/vfmig.sock          and back again

The first name is that of the served device, which stays the same. The other is an entry of the
configuration: one with "standby": true, or one whose place another has taken.`;

/** `vfmig replace`: another device takes the place of a served one while its guest runs. */
export function replaceCommand(program: Command, context: CommandContext): void {
  program
    .command("replace")
    .description("Let a standby device take the place of a served one, while its guest runs.")
    .argument("<name>", "the served device")
    .requiredOption("--with <entry>", "the configuration's entry that takes its place")
    .requiredOption("--control <path>", "control socket of the host (vfmig serve --control)")
    .option("--json", "print one JSON object on stdout")
    .addHelpText("after", EXAMPLES)
    .action((name: string, options: ReplaceOptions) => replace(name, options, context));
}

async function replace(
  name: string,
  options: ReplaceOptions,
  { terminal }: CommandContext,
): Promise<void> {
  const path = `/devices/${encodeURIComponent(name)}/replace`;
  const answer = await askControl(options.control, "POST", path, { with: options.with });
  if (options.json) return terminal.result(JSON.stringify(answer));
  // Answered by a host of the same version; what it says is shown, not relied upon.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const { windowMs, phases, stateBytes } = answer["outcome"] as ReplacementOutcome;
  const steps = Object.entries(phases)
    .filter(([step]) => step !== "ahead")
    .map(([step, ms]) => `${step} ${ms.toFixed(1)}`);
  terminal.result(
    [
      `${name} is now ${String(answer["entry"])}`,
      `  pause       ${windowMs.toFixed(1)} ms (${steps.join(", ")})`,
      `  state       ${stateBytes} bytes, after ${phases.ahead.toFixed(1)} ms of preparation`,
    ].join("\n"),
  );
}
