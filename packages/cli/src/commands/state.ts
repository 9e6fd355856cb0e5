import type { Command } from "commander";
import type { CommandContext } from "../program.ts";

export interface InspectOptions {
  readonly json?: boolean;
}

/** `vfmig state inspect`: what a device-state stream holds, without its plugin. */
export function stateCommand(program: Command, context: CommandContext): void {
  const state = program.command("state").description("Look into the state of a device.");
  state
    .command("inspect")
    .description("Print every record of a device-state file; needs no plugin and no device.")
    .argument("<file>", "a stream, such as demo --save-state keeps")
    .option("--json", "print one JSON object on stdout")
    .action(async (file: string, options: InspectOptions) => {
      const { inspect } = await import("../actions/state.ts");
      await inspect(file, options, context);
    });
}
