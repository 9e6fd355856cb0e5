/** Codes thrown by the host; each is documented on the errors page and thrown somewhere (tested). */
export const hostCodes = {
  ERR_VFMIG_HOST_MODULE: {
    means:
      "A package that the configuration names is not the kind of module that it is used as, or none is named.",
    remedy: "Check that the package exports the kind of module that the configuration uses it as.",
  },
  ERR_VFMIG_HOST_DEVICE_PROCESS: {
    means: "A device's process ended, or did not answer in time.",
    remedy:
      "Read the device's last log lines; the message names the exit code and the layer if it is known.",
  },
  ERR_VFMIG_HOST_NO_DEVICE: {
    means: "The configuration has no device of that name.",
    remedy: "Use one of the names that the message lists.",
  },
  ERR_VFMIG_HOST_NO_MIGRATION: {
    means: "A device was asked for its description, but runs without a driver that can migrate it.",
    remedy: "Name a driver with migration for this device in the configuration.",
  },
} as const;
