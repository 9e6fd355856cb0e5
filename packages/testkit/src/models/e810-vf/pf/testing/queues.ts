import { QUEUE_CONFIG } from "@vfmig/iavf";
import type { Rig } from "../../../intel-vf/testing/rig.ts";

/** CONFIG_VSI_QUEUES for `pairs` pairs, changed byte by byte: pair, field, value, bytes. */
export function config(
  rig: Rig,
  pairs: number,
  ...changes: readonly (readonly [number, number, number, 1 | 2 | 4])[]
): Uint8Array {
  const body = rig.queueConfig(pairs);
  const data = new DataView(body.buffer);
  for (const [pair, field, value, size] of changes) {
    const at = QUEUE_CONFIG.HEADER + QUEUE_CONFIG.PAIR * pair + field;
    if (size === 1) data.setUint8(at, value);
    else if (size === 2) data.setUint16(at, value, true);
    else data.setUint32(at, value, true);
  }
  return body;
}
