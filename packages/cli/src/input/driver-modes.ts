import type { DriverMode } from "@vfmig/core";

/** What `--mode` takes: core's `DRIVER_MODES`, written down so that help needs nothing of core. */
export const DRIVER_MODE_CHOICES: readonly DriverMode[] = ["active", "transparent", "base"];
