import { igbError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import type { QueueProblem } from "../queues/queue.ts";
import { QUEUE, QUEUE_ENABLE, REGISTER } from "../registers/registers.ts";

/** Why the queues of a device that works on its guest's own rings could not be relayed; undefined where they could. */
export function doubtOf({ registers, rx, tx }: Parts): QueueProblem | undefined {
  for (const queue of [tx, rx]) {
    const problem = queue.problem();
    if (problem !== undefined)
      return { ...problem, why: `the ${queue.name} queue: ${problem.why}` };
  }
  for (const at of [REGISTER.RX_QUEUE, REGISTER.TX_QUEUE]) {
    const second = at + QUEUE.STRIDE;
    const on = (registers.read(second + QUEUE.CONTROL) & QUEUE_ENABLE) !== 0;
    if (on && registers.read(second + QUEUE.LEN) !== 0) {
      return {
        code: "ERR_VFMIG_VF_FEATURE",
        why: "the second queue pair is on, which has no interrupt and is never relayed",
      };
    }
  }
  return undefined;
}

/** @throws VfmigError `ERR_VFMIG_VF_FEATURE`, `ERR_VFMIG_VF_POSITION` where the queues could not be relayed as they are */
export function refuseDoubt(parts: Parts): void {
  const doubt = doubtOf(parts);
  if (doubt === undefined) return;
  const { code, why } = doubt;
  const hint =
    code === "ERR_VFMIG_VF_POSITION"
      ? ' (with the option shadow: "always" no place has to be found)'
      : "";
  throw igbError(
    code,
    `the guest's queues cannot be put on private rings: ${why}; it keeps its own${hint}`,
    { why },
  );
}
