/**
 * `ahead`: the new device gets the mappings and what of the state can go while the old one runs; `stop`: the
 * old one comes to rest; `carry`: the rest of its state; `replay`: the new one makes it its own; `start`: it
 * runs.
 */
export type ReplacementStep = "ahead" | "stop" | "carry" | "replay" | "start";

/** What a replacement did. */
export interface ReplacementOutcome {
  /** Lengths of the steps, in milliseconds. */
  readonly phases: Readonly<Record<ReplacementStep, number>>;
  /** When accesses began to wait, by the clock that was given. */
  readonly pausedAt: number;
  /** Milliseconds in which accesses waited: all steps but the first. */
  readonly windowMs: number;
  /** Bytes of the state that went before the stop, and in all. */
  readonly earlyBytes: number;
  readonly stateBytes: number;
}
