import {
  createPluginRegistry,
  parseOptions,
  type Clock,
  type DeviceConfig,
  type DriverIdentity,
  type LoadedConfig,
} from "@vfmig/core";
import { DEFAULT_OPEN_LIMIT_MS, notOpenInTime } from "../device-process/stalled.ts";
import { importBase } from "./import-base.ts";
import { importDriver } from "./import-driver.ts";
import { within } from "./within.ts";

/** What the packages of one entry turned out to be. */
export interface CheckedPackages {
  /** The entry's name. */
  readonly name: string;
  readonly base: { readonly name: string; readonly version: string };
  /** Undefined where none is named, or it would not run (`mode: "base"`). */
  readonly driver: DriverIdentity | undefined;
}

export interface CheckPackagesOptions {
  readonly clock: Clock;
  /** Milliseconds that one package may take to be imported; default 30,000. */
  readonly openLimitMs?: number | undefined;
}

/**
 * Imports what a configuration names, as serving it would, and checks what it exports and the options that it is
 * given; opens no device.
 *
 * @throws VfmigError of the first package that does not fit, as `openHost` would throw it
 */
export async function checkPackages(
  { config, folder }: Pick<LoadedConfig, "config" | "folder">,
  options: CheckPackagesOptions,
): Promise<readonly CheckedPackages[]> {
  const checked: CheckedPackages[] = [];
  for (const [index, entry] of config.devices.entries()) {
    checked.push(await checkEntry(entry, `devices[${index}]`, folder, options));
  }
  return checked;
}

async function checkEntry(
  { name, base: baseEntry, driver: reference }: DeviceConfig,
  where: string,
  folder: string,
  { clock, openLimitMs = DEFAULT_OPEN_LIMIT_MS }: CheckPackagesOptions,
): Promise<CheckedPackages> {
  const bounded = <T>(step: string, work: Promise<T>): Promise<T> =>
    within(clock, openLimitMs, work, () => notOpenInTime(name, step, openLimitMs));
  const base = await bounded(
    `importing the base "${baseEntry.package}"`,
    importBase(baseEntry.package, where, folder),
  );
  parseOptions(base, baseEntry.options, `${where}.base.options`);
  const of = { name: base.name, version: base.version };
  if (reference === undefined || reference.mode === "base") {
    return { name, base: of, driver: undefined };
  }
  const { definition, identity } = await bounded(
    `importing the driver "${reference.package}"`,
    importDriver(createPluginRegistry(), reference, where, folder),
  );
  parseOptions(definition, reference.options, `${where}.driver.options`);
  return { name, base: of, driver: identity };
}
