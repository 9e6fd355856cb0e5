import {
  configJsonSchema,
  loadConfig,
  packageIntegrity,
  resolvePackage,
  verifyIntegrity,
  type DeviceConfig,
  type LoadedConfig,
} from "@vfmig/core/config";
import type { CheckOptions } from "../commands/config.ts";
import { table } from "../output/table.ts";
import type { CommandContext } from "../program.ts";

/** A package as it is installed; `integrity` where it was asked for. */
interface Found {
  readonly name: string;
  readonly version: string;
  readonly integrity: string | undefined;
}

interface FoundDevice {
  readonly name: string;
  readonly standby: boolean;
  readonly base: Found;
  readonly driver: Found | null;
  readonly pinned: boolean;
}

/** Says which packages would run for which device; runs their code only where it is asked to. */
export async function checkConfig(
  path: string,
  options: CheckOptions,
  { terminal }: CommandContext,
): Promise<void> {
  const loaded = await loadConfig(path);
  const { file, folder, config } = loaded;
  const hashed = options.json === true;
  const devices = await Promise.all(config.devices.map((entry) => find(entry, folder, hashed)));
  const imported = options.import === true ? await importAll(loaded, options) : undefined;
  if (hashed) {
    const listed = devices.map((device, i) =>
      imported === undefined ? device : { ...device, imported: imported[i] },
    );
    terminal.result(JSON.stringify({ schemaVersion: 1, file, devices: listed }));
    return;
  }
  terminal.result(
    `${file}\n${table([["device", "base", "driver", "integrity"], ...rows(devices)])}`,
  );
  terminal.note(
    imported === undefined
      ? "No package was imported; --import does that, and checks what they export and their options."
      : "Every package was imported: each is what it is named as, and takes its options.",
  );
}

async function find(entry: DeviceConfig, folder: string, hashed: boolean): Promise<FoundDevice> {
  const { name, standby, base, driver } = entry;
  return {
    name,
    standby: standby === true,
    base: await describe(base.package, folder, undefined, hashed),
    driver:
      driver === undefined
        ? null
        : await describe(driver.package, folder, driver.integrity, hashed),
    pinned: driver?.integrity !== undefined,
  };
}

/** Every file of a package is read for its hash: not without need. */
async function describe(
  specifier: string,
  folder: string,
  pinned: string | undefined,
  hashed: boolean,
): Promise<Found> {
  const resolved = await resolvePackage(specifier, folder);
  const integrity =
    pinned === undefined
      ? hashed
        ? await packageIntegrity(resolved.root)
        : undefined
      : await verifyIntegrity(resolved, pinned);
  return { name: resolved.specifier, version: resolved.version, integrity };
}

async function importAll(loaded: LoadedConfig, { openLimit }: CheckOptions) {
  const { checkPackages } = await import("@vfmig/host/check");
  const { systemClock } = await import("@vfmig/core");
  return checkPackages(loaded, { clock: systemClock, openLimitMs: openLimit * 1000 });
}

function rows(devices: readonly FoundDevice[]): string[][] {
  return devices.map(({ name, standby, base, driver, pinned }) => [
    standby ? `${name} (standby)` : name,
    `${base.name} ${base.version}`,
    driver === null ? "none" : `${driver.name} ${driver.version}`,
    driver === null ? "" : pinned ? "as pinned" : "not pinned",
  ]);
}

/** Prints the JSON Schema of the configuration. */
export function printSchema({ terminal }: CommandContext): void {
  terminal.result(JSON.stringify(configJsonSchema(), undefined, 2));
}
