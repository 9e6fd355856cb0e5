import { VfmigError, type VfmigErrorCode } from "@vfmig/core";

/** An error of this plugin. */
export function igbError(
  code: VfmigErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): VfmigError {
  return new VfmigError(code, message, { layer: "plugin:igb-vf", details, cause });
}
