import { VfmigError } from "../../errors/vfmig-error.ts";
import type { MigrationState } from "../states.ts";

/** The refusal of an access to the migration region that its protocol does not have. */
export function refuseAccess(what: string, why: string, state: MigrationState): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_REGION",
    `Cannot ${what} of the migration region in state ${state}: ${why}. Nothing was changed.`,
    { layer: "core", details: { what, state, errno: "EINVAL" } },
  );
}
