import { igbError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import { QUEUE, QUEUE_ENABLE, REGISTER } from "../registers/registers.ts";

/** Why the queues of a device that works on its guest's own rings could not be relayed; undefined where they could. */
export function doubtOf({ registers, rx, tx }: Parts): string | undefined {
  for (const queue of [tx, rx]) {
    const problem = queue.problem();
    if (problem !== undefined) return `the ${queue.name} queue: ${problem}`;
  }
  for (const at of [REGISTER.RX_QUEUE, REGISTER.TX_QUEUE]) {
    const second = at + QUEUE.STRIDE;
    const on = (registers.read(second + QUEUE.CONTROL) & QUEUE_ENABLE) !== 0;
    if (on && registers.read(second + QUEUE.LEN) !== 0) {
      return "the second queue pair is on, which has no interrupt and is never relayed";
    }
  }
  return undefined;
}

/** @throws VfmigError `ERR_VFMIG_VF_POSITION` where the queues could not be relayed from where they are */
export function refuseDoubt(parts: Parts): void {
  const doubt = doubtOf(parts);
  if (doubt === undefined) return;
  throw igbError(
    "ERR_VFMIG_VF_POSITION",
    `the guest's queues cannot be put on private rings: ${doubt}; it keeps its own (with the option shadow: "always" they are relayed from the start)`,
    { doubt },
  );
}
