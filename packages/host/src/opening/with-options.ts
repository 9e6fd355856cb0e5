import type { DeviceConfig, DriverMode } from "@vfmig/core";

/** Options that are taken in place of the configuration's. */
export interface ReplacedOptions {
  readonly baseOptions?: Readonly<Record<string, unknown>> | undefined;
  readonly driverOptions?: Readonly<Record<string, unknown>> | undefined;
  /** How drivers run, whatever the configuration says. */
  readonly mode?: DriverMode | undefined;
}

/** The entry with some of its options replaced. */
export function withOptions(
  { base, driver, ...rest }: DeviceConfig,
  { baseOptions, driverOptions, mode }: ReplacedOptions,
): DeviceConfig {
  return {
    ...rest,
    base: { ...base, options: merged(base.options, baseOptions) },
    ...(driver && {
      driver: {
        ...driver,
        options: merged(driver.options, driverOptions),
        mode: mode ?? driver.mode,
      },
    }),
  };
}

type Options = Readonly<Record<string, unknown>>;

/** Undefined where there are none: a package that takes no options is not to be given any. */
function merged(own: Options | undefined, others: Options | undefined): Options | undefined {
  if (own === undefined && Object.keys(others ?? {}).length === 0) return undefined;
  return { ...own, ...others };
}
