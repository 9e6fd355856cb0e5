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
  /** Nobody can say: what reached a device from outside is not known. */
  undecided: 6,
} as const;

/** What each says, for people; every code has words. */
export const EXIT_WORDS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "ok",
  failed: "a check failed",
  usage: "usage",
  configuration: "configuration",
  environment: "environment",
  device: "device",
  undecided: "nobody can say (attribute and diff: a replay had not the same input)",
};

/** Beginnings of the codes for what a person wrote or installed. */
const CONFIGURATION: readonly string[] = [
  "ERR_VFMIG_CONFIG_",
  "ERR_VFMIG_PACKAGE_",
  "ERR_VFMIG_PLUGIN_",
  "ERR_VFMIG_HOST_MODULE",
];

/** What the machine or its kernel does not give. */
const ENVIRONMENT: readonly string[] = [
  "ERR_VFMIG_VFIO_NOT_BOUND",
  "ERR_VFMIG_VFIO_NO_IOMMU_GROUP",
  "ERR_VFMIG_VFIO_GROUP_NOT_VIABLE",
  "ERR_VFMIG_VFIO_BUSY",
  "ERR_VFMIG_VFIO_PERMISSION",
  "ERR_VFMIG_VFIO_PATH",
  "ERR_VFMIG_VFIO_MEMLOCK",
  "ERR_VFMIG_VFIO_BIND",
];

/** The exit code for an error: by its code's area, since that says whose move it is. */
export function exitCodeFor(error: unknown): number {
  if (!VfmigError.is(error)) return EXIT.device;
  const { code } = error;
  if (code.startsWith("ERR_VFMIG_CLI_")) return EXIT.usage;
  if (code === "ERR_VFMIG_VFIO_ADDRESS") return EXIT.usage;
  if (ENVIRONMENT.includes(code)) return EXIT.environment;
  if (CONFIGURATION.some((area) => code.startsWith(area))) return EXIT.configuration;
  if (code.startsWith("ERR_VFMIG_STATE_") || code.startsWith("ERR_VFMIG_RECORDING_")) {
    return EXIT.failed;
  }
  if (code === "ERR_VFMIG_NATIVE_UNAVAILABLE" || code === "ERR_VFMIG_SYSTEM_CALL") {
    return EXIT.environment;
  }
  return EXIT.device;
}
