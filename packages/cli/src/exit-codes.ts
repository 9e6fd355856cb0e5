import { VfmigError } from "@vfmig/core";

/** What the exit code of `vfmig` says. */
export const EXIT = {
  ok: 0,
  /** A check failed: frames were lost, a stream is broken. */
  failed: 1,
  usage: 2,
  configuration: 3,
  environment: 4,
  device: 5,
} as const;

/** The exit code for an error: by its code's area, since that says whose move it is. */
export function exitCodeFor(error: unknown): number {
  if (!VfmigError.is(error)) return EXIT.device;
  const { code } = error;
  if (code.startsWith("ERR_VFMIG_CLI_")) return EXIT.usage;
  if (code.startsWith("ERR_VFMIG_CONFIG_") || code.startsWith("ERR_VFMIG_PLUGIN_")) {
    return EXIT.configuration;
  }
  if (code === "ERR_VFMIG_HOST_MODULE") return EXIT.configuration;
  if (code.startsWith("ERR_VFMIG_STATE_")) return EXIT.failed;
  if (code === "ERR_VFMIG_NATIVE_UNAVAILABLE" || code === "ERR_VFMIG_SYSTEM_CALL") {
    return EXIT.environment;
  }
  return EXIT.device;
}
