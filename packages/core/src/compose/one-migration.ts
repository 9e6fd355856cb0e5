import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";

/**
 * Two owners of one device's state would each save half of it.
 * @throws VfmigError `ERR_VFMIG_PLUGIN_BASE_MIGRATES`
 */
export function refuseSecondMigration(
  base: VfioDevice,
  { name, capabilities }: Pick<SubDriverDefinition, "name" | "capabilities">,
): void {
  if (base.migration === undefined || (capabilities.migration ?? []).length === 0) return;
  const { device, base: driver } = base.info.identity;
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_BASE_MIGRATES",
    `Device "${device}" is migrated by ${driver.name} beneath it already, so ${name} cannot migrate it too. ` +
      "Name no driver for this device, or give it to a base without migration, such as plain vfio-pci.",
    { layer: "core", details: { device, base: driver.name, driver: name } },
  );
}
