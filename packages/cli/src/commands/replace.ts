import type { Command } from "commander";
import type { CommandContext } from "../program.ts";

export interface ReplaceOptions {
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
    .action(async (name: string, options: ReplaceOptions) => {
      const { replace } = await import("../actions/replace.ts");
      await replace(name, options, context);
    });
}
