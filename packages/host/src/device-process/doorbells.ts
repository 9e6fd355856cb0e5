import { hasType, IRQ_TYPE, PCI_REGION, type DeviceInfo } from "@vfmig/core";

/**
 * How a guest rings its device. `trapped`: no BAR can be mapped, so every access comes as a message. `lent`: some
 * can, now or later, and a client that listens is asked to give them back when somebody has to see their accesses.
 * `direct`: some can, whose accesses nobody sees.
 */
export type Doorbells = "trapped" | "lent" | "direct";

/** How the device of `info` is rung while it runs. */
export function doorbellsOf({ regions, irqs }: DeviceInfo): Doorbells {
  if (irqs.some(({ type }) => hasType(type, IRQ_TYPE.LAYOUT))) return "lent";
  const mapped = regions.some(
    ({ index, mmap }) => index <= PCI_REGION.BAR5 && (mmap?.areas.length ?? 0) > 0,
  );
  return mapped ? "direct" : "trapped";
}
