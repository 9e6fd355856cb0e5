/** What a recording may cost. Where a limit is reached the recording ends, and the device goes on. */
export interface RecordingLimits {
  /** Bytes of packed events, and so of the file, about. */
  readonly bytes: number;
  /** Pages of guest memory of 4,096 bytes whose contents are kept to compare with. */
  readonly pages: number;
}

export const DEFAULT_RECORDING_LIMITS: RecordingLimits = {
  bytes: 128 * 1024 * 1024,
  pages: 32_768,
};
