import type { Recording } from "../recording.ts";
import type { Difference } from "./difference.ts";
import { compareInterrupts } from "./interrupts.ts";
import { compareMemory } from "./memory.ts";
import { compareSteps, horizonOf, stepsOf } from "./steps.ts";

export interface Comparison {
  /** By step, the earliest first. */
  readonly differences: readonly Difference[];
  /** Steps that were compared. */
  readonly steps: number;
  /** The step from which on the runs cannot be compared, since only one of them could migrate. */
  readonly horizon: number | undefined;
}

/**
 * Compares what the guest can see of two runs of the same steps: what reads and calls answered, which
 * interrupts came, what the device wrote into memory, and saved state. Timing, the number of interrupts,
 * and answers of polls that a later one replaced do not count.
 *
 * @param repeated - the recording that both replay, which tells what each interrupt was for
 * @throws VfmigError `ERR_VFMIG_RECORDING_MISMATCH`
 */
export function compareRecordings(
  left: Recording,
  right: Recording,
  repeated?: Recording,
): Comparison {
  const [a, b] = [stepsOf(left), stepsOf(right)];
  const horizon = horizonOf(a, b);
  const differences = [
    ...compareSteps(a, b, horizon),
    ...compareInterrupts(left.events, right.events, horizon, repeated?.events),
    ...compareMemory(left.events, right.events, horizon),
  ].toSorted((one, other) => one.op - other.op);
  return {
    differences,
    steps: Math.min(a.length, b.length, horizon),
    horizon: Number.isFinite(horizon) ? horizon : undefined,
  };
}
