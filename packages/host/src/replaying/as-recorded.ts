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
  if (isDeepStrictEqual(configured.options, driver.options ?? {})) return entry;
  if ((driver.mode ?? "active") === "active") {
    logger.warn(
      `${driver.package} runs with the options of the recording, which are not the configuration's: ${JSON.stringify(configured.options)} in place of ${JSON.stringify(driver.options ?? {})}.`,
    );
  }
  const { options } = configured;
  const { options: _, ...rest } = driver;
  return { ...entry, driver: Object.keys(options).length === 0 ? rest : { ...rest, options } };
}
