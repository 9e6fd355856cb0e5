import type { MappingTracker } from "../device/mapping-tracker.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import { shapeDifference } from "./same-shape.ts";

/**
 * Refuses what cannot be replaced, before anything is touched.
 * @param held - what users hold mapped of `current`
 * @throws VfmigError `ERR_VFMIG_REPLACE_SHAPE`, `ERR_VFMIG_REPLACE_BUSY`, `ERR_VFMIG_MAPPING_CONFLICT`
 */
export function checkReplaceable(
  current: VfioDevice,
  next: VfioDevice,
  held: MappingTracker,
): { readonly from: MigrationFacet; readonly to: MigrationFacet } {
  const name = next.info.identity.device;
  if (next === current) throw busy("the other one is the one that is there");
  const difference = shapeDifference(current, next);
  if (difference !== undefined) {
    throw new VfmigError(
      "ERR_VFMIG_REPLACE_SHAPE",
      `"${name}" cannot take the place of "${current.info.identity.device}", whose guest counts on what it has read: ${difference}. Nothing was changed.`,
      { layer: "core", details: { device: name, difference, errno: "EINVAL" } },
    );
  }
  const from = movable(current);
  const to = movable(next);
  held.refuseConflicts([], `replace the device by "${name}"`);
  return { from, to };
}

function movable(device: VfioDevice): MigrationFacet {
  const { migration, info } = device;
  const { driver, base, device: name } = info.identity;
  if (migration === undefined) {
    throw busy(`"${name}" (${driver?.name ?? base.name}) gives no migration`);
  }
  if (migration.state !== "running") {
    throw busy(`the migration state of "${name}" is ${migration.state}, not running`);
  }
  return migration;
}

/** The refusal of a replacement that cannot begin. */
export function busy(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REPLACE_BUSY",
    `The device cannot be replaced now: ${why}. Nothing was changed.`,
    { layer: "core", details: { errno: "EBUSY" } },
  );
}
