import { VfmigError } from "@vfmig/core/errors";
import { EXIT } from "./exit-codes.ts";

/** Beginnings of the codes for what a person wrote or installed. */
const CONFIGURATION: readonly string[] = [
  "ERR_VFMIG_CONFIG_",
  "ERR_VFMIG_PACKAGE_",
  "ERR_VFMIG_PLUGIN_",
  "ERR_VFMIG_HOST_MODULE",
  "ERR_VFMIG_HOST_SOCKET",
  "ERR_VFMIG_DIRTY_SOURCE",
  "ERR_VFMIG_SOCKET_PATH",
];

/** Where the command line named what is not there. */
const USAGE: readonly string[] = [
  "ERR_VFMIG_VFIO_ADDRESS",
  "ERR_VFMIG_HOST_NO_DEVICE",
  "ERR_VFMIG_HOST_CONTROL",
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
  "ERR_VFMIG_WIRE_TAP",
];

/** The exit code for an error: by its code's area, since that says whose move it is. */
export function exitCodeFor(error: unknown): number {
  if (!VfmigError.is(error)) return EXIT.device;
  const { code } = error;
  if (code.startsWith("ERR_VFMIG_CLI_")) return EXIT.usage;
  if (USAGE.includes(code)) return EXIT.usage;
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
