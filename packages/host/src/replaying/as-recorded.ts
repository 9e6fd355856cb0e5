import { isDeepStrictEqual } from "node:util";
import type { DeviceConfig, Logger, Recording } from "@vfmig/core";

/**
 * The entry with the options that its driver had when it was recorded: with others it would differ from the
 * recording, and be blamed for it. Those of another package are left alone.
 */
export function asRecorded(
  entry: DeviceConfig,
  { configured }: Pick<Recording, "configured">,
  logger: Logger,
): DeviceConfig {
  const { driver } = entry;
  if (driver === undefined || configured === undefined) return entry;
  if (configured.package !== driver.package) return entry;
  const names = differing(configured.options, driver.options ?? {});
  if (names.length === 0) return entry;
  if ((driver.mode ?? "active") === "active") {
    logger.warn(
      `${driver.package} runs with the options of the recording, of which the configuration has others: ${names.join(", ")}.`,
    );
  }
  const { options } = configured;
  const { options: _, ...rest } = driver;
  return { ...entry, driver: Object.keys(options).length === 0 ? rest : { ...rest, options } };
}

type Options = Readonly<Record<string, unknown>>;

/** Names only: what an option holds may be a secret. */
function differing(recorded: Options, here: Options): readonly string[] {
  const names = new Set([...Object.keys(recorded), ...Object.keys(here)]);
  return [...names].filter((name) => !isDeepStrictEqual(recorded[name], here[name])).toSorted();
}
