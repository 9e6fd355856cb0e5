import { VfmigError, type VfmigErrorCode } from "@vfmig/core";

/** An error of this plugin. */
export function i40eError(
  code: VfmigErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): VfmigError {
  return new VfmigError(code, message, { layer: "plugin:i40e-vf", details, cause });
}
