import type { Command } from "commander";
import { configJsonSchema, loadConfig, packageIntegrity, resolvePackage } from "@vfmig/core";
import { table } from "../output/table.ts";
import type { CommandContext } from "../program.ts";

/** `vfmig config check` and `vfmig config schema`. */
export function configCommand(program: Command, { terminal }: CommandContext): void {
  const config = program.command("config").description("Check a configuration without running it.");
  config
    .command("check")
    .description("Say which packages would run for which device, without importing any of them.")
    .argument("[path]", "configuration file, or the folder that holds it", ".")
    .option("--json", "print one JSON object on stdout")
    .action(async (path: string, options: { readonly json?: boolean }) => {
      const { file, folder, config: loaded } = await loadConfig(path);
      const devices = await Promise.all(
        loaded.devices.map(async ({ name, standby, base, driver }) => ({
          name,
          standby: standby === true,
          base: await describe(base.package, folder),
          driver: driver === undefined ? null : await describe(driver.package, folder),
          pinned: driver?.integrity !== undefined,
        })),
      );
      if (options.json) {
        terminal.result(JSON.stringify({ schemaVersion: 1, file, devices }));
        return;
      }
      const rows = devices.map(({ name, standby, base, driver, pinned }) => [
        standby ? `${name} (standby)` : name,
        `${base.name} ${base.version}`,
        driver === null ? "none" : `${driver.name} ${driver.version}`,
        driver === null ? "" : pinned ? "pinned" : "not pinned",
      ]);
      terminal.result(`${file}\n${table([["device", "base", "driver", "integrity"], ...rows])}`);
    });
  config
    .command("schema")
    .description("Print the JSON Schema of the configuration, for editors.")
    .option("--json", "the schema is JSON in any case")
    .action(() => terminal.result(JSON.stringify(configJsonSchema(), undefined, 2)));
}

async function describe(
  specifier: string,
  folder: string,
): Promise<{ readonly name: string; readonly version: string; readonly integrity: string }> {
  const resolved = await resolvePackage(specifier, folder);
  return {
    name: resolved.specifier,
    version: resolved.version,
    integrity: await packageIntegrity(resolved.root),
  };
}
