import type { Command } from "commander";
import { openLimitOption } from "../input/open-limit.ts";
import type { CommandContext } from "../program.ts";

export interface CheckOptions {
  readonly import?: boolean;
  readonly openLimit: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  vfmig config check examples/serve            which packages, their versions, and pinned bytes compared
  vfmig config check examples/serve --import   imports them, too: a model named as a driver, a wrong option
  vfmig config check --json                    one JSON object on stdout, with the sha512 of each package`;

/** `vfmig config check` and `vfmig config schema`. */
export function configCommand(program: Command, context: CommandContext): void {
  const config = program.command("config").description("Check a configuration without running it.");
  config
    .command("check")
    .description(
      "Say which packages would run for which device, and whether their bytes are those that are pinned.",
    )
    .argument("[path]", "configuration file, or the folder that holds it", ".")
    .option("--import", "also import them, and check what they export and their options")
    .addOption(openLimitOption())
    .option("--json", "print one JSON object on stdout")
    .addHelpText("after", EXAMPLES)
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
