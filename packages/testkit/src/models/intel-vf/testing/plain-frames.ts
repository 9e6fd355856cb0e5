import { rxLength } from "@vfmig/iavf";
import { ethernet } from "./frames.ts";
import { PEER_MAC, RIG_MAC, type Rig } from "./rig.ts";

/** A frame of `size` bytes to the rig, with nothing in it that a device looks into. */
export function inward(size: number, fill = 1): Uint8Array {
  return ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(size - 14).fill(fill));
}

/** The same from the rig. */
export function outward(size: number, fill = 1): Uint8Array {
  return ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(size - 14).fill(fill));
}

/** What receive buffer `index` holds, as its write-back tells. */
export function received(rig: Rig, index: number, queue = 0): Uint8Array {
  const at = rig.rxBuffer(queue, index);
  return rig.memory.slice(at, at + rxLength(rig.rxBack(queue, index).high));
}
