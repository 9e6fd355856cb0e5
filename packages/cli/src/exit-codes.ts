import { VfmigError } from "@vfmig/core";

/** What the exit code of `vfmig` says. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  environment: 4,
  device: 5,
  undecided: 6,
} as const;

/** The same in words, as help and README have it. */
export const EXIT_WORDS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "ok",
  failed:
    "a check failed: a frame was lost, duplicated, reordered or corrupted, a page forgotten, a stream is not sound, a layer differs",
  usage: "the command line is wrong, or names what is not there",
  configuration: "the configuration or a plugin in it is wrong",
  environment: "the machine lacks something",
  device: "a device failed, or cannot do what was asked",
  undecided: "nobody can say: a replay had not the same input, or not at the same moment",
};

/** What stands at the end of the help of each command. */
export function exitCodeHelp(): string {
  const rows = Object.entries(EXIT).map(([name, code]) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its own keys
    return `  ${code}  ${EXIT_WORDS[name as keyof typeof EXIT]}`;
  });
  return `\nExit codes:\n${rows.join("\n")}`;
}

/** Beginnings of the codes for what a person wrote or installed. */
const CONFIGURATION: readonly string[] = [
  "ERR_VFMIG_CONFIG_",
  "ERR_VFMIG_PACKAGE_",
  "ERR_VFMIG_PLUGIN_",
  "ERR_VFMIG_HOST_MODULE",
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
