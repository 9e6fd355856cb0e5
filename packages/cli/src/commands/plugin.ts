import type { Command } from "commander";
import type { CommandContext } from "../program.ts";

export interface IntegrityOptions {
  readonly folder: string;
  readonly json?: boolean;
}

/** `vfmig plugin integrity`: what to write into the configuration to pin a plugin's bytes. */
export function pluginCommand(program: Command, context: CommandContext): void {
  const plugin = program.command("plugin").description("Look at a plugin before it is chosen.");
  plugin
    .command("integrity")
    .description(
      "Print the sha512 over the files that npm would publish, to pin it in a configuration.",
    )
    .argument("<package>", "such as @vfmig/plugin-i40e")
    .option(
      "-C, --folder <path>",
      "folder of the configuration, from which the package is resolved",
      ".",
    )
    .option("--json", "print one JSON object on stdout")
    .addHelpText(
      "after",
      `
Example:
  vfmig plugin integrity @vfmig/plugin-i40e
  vfmig plugin integrity @vfmig/plugin-i40e --folder examples/demo    as the configuration there finds it
  then write driver: { package: "@vfmig/plugin-i40e", integrity: "sha512-..." }`,
    )
    .action(async (name: string, options: IntegrityOptions) => {
      const { printIntegrity } = await import("../actions/plugin.ts");
      await printIntegrity(name, options, context);
    });
}
