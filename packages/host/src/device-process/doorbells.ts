import { PCI_REGION, type DeviceInfo } from "@vfmig/core";

/**
 * How a guest rings its device. `trapped`: no BAR can be mapped, so every access comes as a message; `direct`: some
 * can, whose accesses nobody sees.
 */
export type Doorbells = "trapped" | "direct";

/** How the device of `info` is rung while it runs. */
export function doorbellsOf({ regions }: DeviceInfo): Doorbells {
  const mapped = regions.some(
    ({ index, mmap }) => index <= PCI_REGION.BAR5 && (mmap?.areas.length ?? 0) > 0,
  );
  return mapped ? "direct" : "trapped";
}
