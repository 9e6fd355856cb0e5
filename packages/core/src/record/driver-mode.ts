/**
 * How a device's driver runs: `active`, as it is written; `transparent`, core's pass-through in its
 * place; `base`, not at all.
 */
export const DRIVER_MODES = ["active", "transparent", "base"] as const;

export type DriverMode = (typeof DRIVER_MODES)[number];
