import { VfmigError, type DescriptionFacet } from "@vfmig/core";
import type { OpenedDevice } from "../opening/device-opener.ts";

/**
 * The description of a device that can be moved.
 * @throws VfmigError `ERR_VFMIG_HOST_NO_MIGRATION`
 */
export function descriptionOf({ device, composed }: OpenedDevice): DescriptionFacet {
  if (composed !== undefined && device.migration !== undefined) return composed.description;
  const { device: name, driver, base } = device.info.identity;
  const what =
    driver === undefined
      ? `runs on its base alone (${base.name})`
      : `is driven by ${driver.name}, which gives no migration`;
  throw new VfmigError(
    "ERR_VFMIG_HOST_NO_MIGRATION",
    `Device "${name}" ${what}, so it cannot be moved. The guest keeps it. Name a driver with migration in the configuration.`,
    { layer: "host", details: { device: name, driver: driver?.name, base: base.name } },
  );
}
