import type { Command } from "commander";
import type { CommandContext } from "../program.ts";

export interface CheckOptions {
  readonly json?: boolean;
}

/** `vfmig config check` and `vfmig config schema`. */
export function configCommand(program: Command, context: CommandContext): void {
  const config = program.command("config").description("Check a configuration without running it.");
  config
    .command("check")
    .description("Say which packages would run for which device, without importing any of them.")
    .argument("[path]", "configuration file, or the folder that holds it", ".")
    .option("--json", "print one JSON object on stdout")
    .action(async (path: string, options: CheckOptions) => {
      const { checkConfig } = await import("../actions/config.ts");
      await checkConfig(path, options, context);
    });
  config
    .command("schema")
    .description("Print the JSON Schema of the configuration, for editors.")
    .option("--json", "the schema is JSON in any case")
    .action(async () => {
      const { printSchema } = await import("../actions/config.ts");
      printSchema(context);
    });
}
