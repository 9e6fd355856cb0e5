/** Codes thrown by migration; each is documented on the errors page and thrown somewhere (tested). */
export const migrationCodes = {
  ERR_VFMIG_MIGRATION_STATE: {
    means: "The requested migration state does not exist for this device, or cannot be requested.",
    remedy: "Ask only for states that the device's migration capabilities contain.",
  },
  ERR_VFMIG_MIGRATION_BLOCKED: {
    means: "No path leads from the present migration state to the requested one.",
    remedy: "Leave STOP_COPY through STOP first; the state and the session are unchanged.",
  },
  ERR_VFMIG_MIGRATION_LOST: {
    means: "The device is in the migration state ERROR: what it holds is not known.",
    remedy: "Reset the device; nothing else leaves this state.",
  },
  ERR_VFMIG_MIGRATION_TIMEOUT: {
    means: "A step between migration states did not settle within its time limit.",
    remedy: "Reset the device, and report the step named in the message to the sub-driver's maker.",
  },
  ERR_VFMIG_MIGRATION_CANCELLED: {
    means: "A reset or the closing of the device ended a migration request before it was done.",
    remedy: "Read the state back, then start the migration again if it is still wanted.",
  },
  ERR_VFMIG_MIGRATION_REENTRY: {
    means: "A sub-driver asked for a state change or a reset from inside one of its own steps.",
    remedy: "Report it to the sub-driver's maker; a step must not drive the state machine.",
  },
  ERR_VFMIG_MIGRATION_SESSION: {
    means: "Migration data was read or written in a state that has no such session.",
    remedy: "Enter PRE_COPY or STOP_COPY before reading, and RESUMING before writing.",
  },
  ERR_VFMIG_MIGRATION_POISONED: {
    means: "The session failed earlier, and nothing more can be read from it or committed.",
    remedy: "End the session (a reset always does), correct the first error, and start again.",
  },
  ERR_VFMIG_MIGRATION_INCOMPATIBLE: {
    means: "This device cannot take the state of the source.",
    remedy: "Choose a target that offers what the message lists, or change what the guest uses.",
  },
  ERR_VFMIG_MIGRATION_REGION: {
    means: "An access to the migration region of protocol v1 has a wrong width, order or value.",
    remedy:
      "Follow the order of accesses of protocol v1; read device_state to see where the device is.",
  },
} as const;
