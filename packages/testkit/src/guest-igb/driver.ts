import type { GuestDriver, GuestDriverOptions } from "../guest/options.ts";
import { SlotDriver } from "../guest/slot-driver.ts";
import { IgbVfLife } from "./vf-life.ts";

/**
 * A guest whose driver does what Linux igbvf does with an 82576 VF: the same registers in the same order,
 * the same messages, the same rings; one queue pair, MTU 1500 at most. It knows nothing of migration.
 * @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range, `ERR_VFMIG_GUEST_MEMORY`
 */
export function createIgbGuestDriver(options: GuestDriverOptions): GuestDriver {
  return new SlotDriver(options, (...place) => new IgbVfLife(...place));
}
