import type { Command } from "commander";
import { inspectState, renderState } from "@vfmig/core";
import { EXIT } from "../exit-codes.ts";
import { bytesOf } from "../input/read-file.ts";
import type { CommandContext } from "../program.ts";

/** `vfmig state inspect`: what a device-state stream holds, without its plugin. */
export function stateCommand(program: Command, { terminal, exit }: CommandContext): void {
  const state = program.command("state").description("Look into the state of a device.");
  state
    .command("inspect")
    .description("Print every record of a device-state file; needs no plugin and no device.")
    .argument("<file>", "a stream, such as demo --save-state keeps")
    .option("--json", "print one JSON object on stdout")
    .action(async (file: string, options: { readonly json?: boolean }) => {
      const tree = inspectState(await bytesOf(file));
      terminal.result(options.json ? JSON.stringify(tree) : renderState(tree));
      if (!tree.sound) exit(EXIT.failed);
    });
}
