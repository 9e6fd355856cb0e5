import {
  importModule,
  parseOptions,
  resolvePackage,
  VfmigError,
  type ScenarioDefinition,
  type ScenarioProgress,
  type ScenarioReport,
} from "@vfmig/core";
import type { Host } from "./host.ts";

export interface ScenarioRun {
  readonly moves: number;
  /** Frames a second. */
  readonly rate: number;
  readonly seed: number;
  readonly saveStateTo?: string | undefined;
  /** Taken in place of the same options of the scenario in the configuration. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  readonly signal: AbortSignal;
  progress(progress: ScenarioProgress): void;
}

/**
 * Runs the scenario that the configuration names against the host's devices.
 * @throws VfmigError `ERR_VFMIG_HOST_MODULE` if it names none or the package exports none,
 * `ERR_VFMIG_PLUGIN_OPTIONS_*`, or what the scenario threw
 */
export async function runScenario(host: Host, run: ScenarioRun): Promise<ScenarioReport> {
  const { config, file, folder } = host.loaded;
  if (config.scenario === undefined) {
    throw new VfmigError(
      "ERR_VFMIG_HOST_MODULE",
      `${file} names no scenario, so there is nothing to run. Add scenario: { package: "@vfmig/testkit/move-scenario" }.`,
      { layer: "host", details: { file } },
    );
  }
  const name = config.scenario.package;
  const value = await importModule(await resolvePackage(name, folder));
  if (!isScenario(value)) {
    throw new VfmigError(
      "ERR_VFMIG_HOST_MODULE",
      `scenario.package: "${name}" exports no scenario (a name and run()).`,
      { layer: "host", details: { package: name } },
    );
  }
  const given = { ...config.scenario.options, ...run.options };
  const options = parseOptions(value, given, "scenario.options");
  return value.run({
    ...run,
    options,
    devices: host.devices,
    folder,
    scratch: host.runtimeFolder,
    logger: host.logger,
  });
}

function isScenario(value: unknown): value is ScenarioDefinition {
  return (
    typeof value === "object" && value !== null && "run" in value && typeof value.run === "function"
  );
}
