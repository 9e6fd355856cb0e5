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
  ERR_VFMIG_HOST_BASE: {
    means: "A base could not open its device, or gave what is none.",
    remedy: "Do what the message says, or report it to the maker of the base that it names.",
  },
  ERR_VFMIG_HOST_SOCKET: {
    means: "No socket can be made where the configuration or the command line puts one.",
    remedy: "Do what the message says: make the folder, free the path, or name another.",
  },
  ERR_VFMIG_HOST_STALLED: {
    means:
      "A device was not open in time, or never would have been: the message names what was waited for.",
    remedy:
      "Have the package that it names repaired; on a slow machine allow more time with `--open-limit`.",
  },
  ERR_VFMIG_HOST_NO_DEVICE: {
    means: "The configuration has no device of that name.",
    remedy: "Use one of the names that the message lists.",
  },
  ERR_VFMIG_HOST_NO_MIGRATION: {
    means: "A device was asked for its description, but runs without a driver that can migrate it.",
    remedy: "Name a driver with migration for this device in the configuration.",
  },
  ERR_VFMIG_HOST_INCOMPATIBLE: {
    means: "A standby device cannot take what the guest of the device in use uses.",
    remedy: "Give the standby what the message names, or replace by another.",
  },
  ERR_VFMIG_HOST_STANDBY: {
    means: "The configuration's entry cannot take another's place.",
    remedy: "Use an entry with standby: true that fills no place now, as the message says.",
  },
  ERR_VFMIG_HOST_CONTROL: {
    means: "A request to the control socket is none that it serves, or nobody serves it.",
    remedy: "Correct what the message names; `vfmig serve --control PATH` opens the socket.",
  },
} as const;
