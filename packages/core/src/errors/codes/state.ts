/**
 * Codes thrown by the device-state format and the dirty bitmap; each is documented on the errors page
 * and thrown somewhere (tested).
 */
export const stateCodes = {
  ERR_VFMIG_STATE_MAGIC: {
    means: "The bytes do not begin as a vfmig device state does.",
    remedy: "Check that the right file or socket was given, and that nothing before it was lost.",
  },
  ERR_VFMIG_STATE_FORMAT_VERSION: {
    means: "The device state is written in a format version that this vfmig does not know.",
    remedy: "Read it with a vfmig that knows the version, or save it again with this one.",
  },
  ERR_VFMIG_STATE_CHECKSUM: {
    means: "A record of the device state was changed after it was written.",
    remedy: "Save the device again; what carried the bytes has damaged them.",
  },
  ERR_VFMIG_STATE_ORDER: {
    means: "Records of the device state are out of order, repeated, left out or added.",
    remedy: "Save the device again, and carry the bytes in the order in which they were read.",
  },
  ERR_VFMIG_STATE_LIMIT: {
    means: "The device state is larger, deeper or has more parts than the stated limits allow.",
    remedy: "Refuse it, or raise the named limit if the device is known to need that much.",
  },
  ERR_VFMIG_STATE_PAYLOAD: {
    means: "A record's payload is not deterministic CBOR of plain values with text keys.",
    remedy:
      "Write it with this package's writer; a foreign writer must follow core's state/layout.ts.",
  },
  ERR_VFMIG_STATE_SCHEMA: {
    means: "A record's value does not fit the schema that the plugin states for it.",
    remedy: "Compare the plugin versions of both sides; the named field is the one that differs.",
  },
  ERR_VFMIG_STATE_RECORD_TYPE: {
    means: "A record's type is not one that the plugin's state format names.",
    remedy:
      "Use a plugin version that knows it; it is mandatory, so leaving it out would lose state.",
  },
  ERR_VFMIG_STATE_DRIVER: {
    means: "The device state was written by another driver.",
    remedy: "Configure the driver that wrote it for the target device.",
  },
  ERR_VFMIG_STATE_VERSION: {
    means: "The plugin cannot load the version of the device state.",
    remedy: "Use a plugin version whose `reads` names that version.",
  },
  ERR_VFMIG_STATE_TRUNCATED: {
    means: "The device state ended before its end record.",
    remedy: "Carry all bytes until the saving side reports the end, then commit.",
  },
  ERR_VFMIG_STATE_TRAILING: {
    means: "Bytes follow the end record of the device state.",
    remedy: "Carry one saving session only, and nothing after its end.",
  },
  ERR_VFMIG_STATE_POISONED: {
    means: "The session had failed before; nothing more is taken from it or given to it.",
    remedy: "See the cause for the first error, and begin a new session.",
  },
  ERR_VFMIG_STATE_SESSION: {
    means: "A state reader or writer was used after its end, or while a call was under way.",
    remedy: "Await each call before the next, and open a new reader or writer per session.",
  },
  ERR_VFMIG_DIRTY_ADDRESS: {
    means: "An address or length for the dirty bitmap is not inside [0, 2^52).",
    remedy: "Check addresses from guests and devices before they are marked.",
  },
  ERR_VFMIG_DIRTY_RANGE: {
    means: "A dirty report's range, page size or bitmap do not fit together.",
    remedy: "Align address and size to a power-of-two page size, and bring one bit per page.",
  },
} as const;
