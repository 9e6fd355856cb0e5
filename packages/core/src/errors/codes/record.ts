/** Codes of recordings, replays and comparisons; each is documented and thrown somewhere (tested). */
export const recordCodes = {
  ERR_VFMIG_RECORDING_FORMAT: {
    means: "A file is no recording, or a damaged one.",
    remedy: "Record again with vfmig serve --record, or take an undamaged copy.",
  },
  ERR_VFMIG_RECORDING_MISMATCH: {
    means: "Two recordings are not of the same run, so that their steps cannot be compared.",
    remedy: "Compare replays of one recording with each other or with that recording.",
  },
  ERR_VFMIG_REPLAY: {
    means: "A recording cannot be replayed against a device.",
    remedy:
      "Replay it against a configuration whose device is of the recorded kind, with the regions that were recorded.",
  },
} as const;
