import { VfmigError } from "@vfmig/core";

/** Milliseconds that a device may take to open, where nobody says otherwise. */
export const DEFAULT_OPEN_LIMIT_MS = 30_000;

/** A device that was not open in time. `step` is what its process was at, such as `importing the base "x"`. */
export function notOpenInTime(device: string, step: string, limitMs: number): VfmigError {
  return stalled(
    device,
    step,
    `Device "${device}" was not open within ${limitMs} ms: it was still ${step}. ` +
      "A package that never comes to an end is its maker's to repair; on a slow machine, allow more time (--open-limit, openLimitMs).",
  );
}

/** A device that never would have been open. */
export function waitsForNothing(device: string, step: string): VfmigError {
  return stalled(
    device,
    step,
    `Device "${device}" would never be open: ${step} waits for what cannot come any more, such as a promise that nobody settles. ` +
      "Report it to the maker of that package.",
  );
}

function stalled(device: string, step: string, message: string): VfmigError {
  return new VfmigError("ERR_VFMIG_HOST_STALLED", message, {
    layer: "host",
    details: { device, step },
  });
}
