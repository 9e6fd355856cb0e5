import type { Artifacts } from "../fetch/artifacts.ts";
import type { Recorder } from "./recorder.ts";

/** What a stage gets. */
export interface StageContext {
  readonly artifacts: Artifacts;
  readonly recorder: Recorder;
}

export interface Stage {
  readonly name: string;
  /** Runs only where it is named. */
  readonly onDemand?: boolean;
  /** Fetches all that the stage needs, so that its own time is its own. */
  readonly fetch: (artifacts: Artifacts) => Promise<void>;
  readonly run: (context: StageContext) => Promise<void>;
}
