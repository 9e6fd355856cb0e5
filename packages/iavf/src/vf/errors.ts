import { VfmigError, type VfmigErrorCode } from "@vfmig/core";
import type { VfFamily } from "./family.ts";

/** An error of the plugin for `family`. */
export function vfError(
  family: VfFamily,
  code: VfmigErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): VfmigError {
  return new VfmigError(code, message, { layer: `plugin:${family.driver.name}`, details, cause });
}
