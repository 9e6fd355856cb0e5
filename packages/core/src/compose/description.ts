import type { PciIdentity } from "../device/info.ts";
import { compareDescriptions } from "../state/compare-descriptions.ts";
import { deviceDescriptionSchema } from "../state/state-header.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { DeviceDescription, Incompatibility } from "../sub-driver/description.ts";
import type { SubDriver } from "../sub-driver/facets.ts";
import type { PluginGuard } from "./plugin-guard.ts";

/** What a composed device is, and whether it can take another; asked before a source stops. */
export interface DescriptionFacet {
  /** What the device is and uses now; may ask its PF. */
  describe(): Promise<DeviceDescription>;
  /** Why this device cannot take what `source` uses; empty if it can. */
  compare(source: DeviceDescription): Promise<readonly Incompatibility[]>;
}

export interface DescriptionOptions {
  readonly definition: SubDriverDefinition;
  readonly subDriver: SubDriver;
  readonly pci: PciIdentity | undefined;
  readonly guard: PluginGuard;
  readonly callMs: number;
}

/** The sub-driver's description, checked, and core's comparison, which asks the sub-driver last. */
export function createDescription(options: DescriptionOptions): DescriptionFacet {
  const describe = (): Promise<DeviceDescription> => describeDevice(options);
  return {
    describe,
    compare: async (source) => compareDescriptions(options.definition, source, await describe()),
  };
}

async function describeDevice(options: DescriptionOptions): Promise<DeviceDescription> {
  const { definition, subDriver, pci, guard, callMs } = options;
  if (subDriver.describe === undefined) {
    const { name, version, state } = definition;
    return {
      driver: { name, version },
      state: { version: state?.version ?? 1, reads: state?.reads ?? [1] },
      device: { vendor: pci?.vendor ?? 0, device: pci?.device ?? 0 },
      offers: {},
      uses: {},
    };
  }
  const answer: unknown = await guard.settle("describe()", callMs, () => subDriver.describe?.());
  const parsed = deviceDescriptionSchema.safeParse(answer);
  if (parsed.success && parsed.data.driver.name === definition.name) return parsed.data;
  const issue = parsed.error?.issues[0];
  const where = issue === undefined ? "driver.name" : issue.path.join(".");
  const wanted = `a description (see ${where}: ${issue?.message ?? `it is ${definition.name}`})`;
  throw guard.nonsense("describe()", answer, wanted);
}
