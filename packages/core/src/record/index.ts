export {
  attribute,
  type AttributedDifference,
  type AttributionOptions,
  type Attribution,
  type AttributionRuns,
  type BlamedLayer,
  type IntendedPlace,
  type Shown,
} from "./compare/attribute.ts";
export { compareRecordings, type Comparison } from "./compare/compare.ts";
export type { Difference } from "./compare/difference.ts";
export { DRIVER_MODES, type DriverMode } from "./driver-mode.ts";
export type { RecordedEvent } from "./events.ts";
export { DEFAULT_RECORDING_LIMITS, type RecordingLimits } from "./limits.ts";
export { recordDevice, type RecordedDevice, type RecorderOptions } from "./recorder.ts";
export {
  createRecordingWriter,
  readRecording,
  recordingHeader,
  type ConfiguredDriver,
  type Recording,
  type RecordingHeader,
} from "./recording.ts";
export { replayRecording, type ReplayOptions } from "./replay/replay.ts";
export { DEFAULT_REPLAY_LIMITS, type ReplayLimits } from "./replay/waits.ts";
