import { VfmigError } from "../errors/vfmig-error.ts";

/** The refusal of a call that came after the device was closed. */
export function closedError(): VfmigError {
  return new VfmigError("ERR_VFMIG_DEVICE_CLOSED", "The device is closed; open it again.", {
    layer: "core",
    details: { errno: "ENODEV" },
  });
}
