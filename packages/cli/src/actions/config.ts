import { configJsonSchema, loadConfig, packageIntegrity, resolvePackage } from "@vfmig/core/config";
import type { CheckOptions } from "../commands/config.ts";
import { table } from "../output/table.ts";
import type { CommandContext } from "../program.ts";

/** Says which packages would run for which device; imports none of them. */
export async function checkConfig(
  path: string,
  options: CheckOptions,
  { terminal }: CommandContext,
): Promise<void> {
  const { file, folder, config } = await loadConfig(path);
  const devices = await Promise.all(
    config.devices.map(async ({ name, standby, base, driver }) => ({
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
}

/** Prints the JSON Schema of the configuration. */
export function printSchema({ terminal }: CommandContext): void {
  terminal.result(JSON.stringify(configJsonSchema(), undefined, 2));
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
