import type { Command } from "commander";
import { packageIntegrity, resolvePackage } from "@vfmig/core";
import type { CommandContext } from "../program.ts";

/** `vfmig plugin integrity`: what to write into the configuration to pin a plugin's bytes. */
export function pluginCommand(program: Command, { terminal }: CommandContext): void {
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
    .action(async (name: string, options: { readonly folder: string; readonly json?: boolean }) => {
      const { version, root } = await resolvePackage(name, options.folder);
      const integrity = await packageIntegrity(root);
      const report = { schemaVersion: 1, package: name, version, integrity };
      terminal.result(options.json ? JSON.stringify(report) : integrity);
    });
}
