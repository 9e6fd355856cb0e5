import { inward } from "../../../intel-vf/testing/plain-frames.ts";

export const VSI = 1;

export const plain = inward(64, 3);

/** The frame with tags before its ethertype, outermost first. */
export function tags(
  frame: Uint8Array,
  ...list: readonly (readonly [number, number])[]
): Uint8Array {
  const out = new Uint8Array(frame.length + 4 * list.length);
  out.set(frame.subarray(0, 12));
  const data = new DataView(out.buffer);
  for (const [index, [type, tci]] of list.entries()) {
    data.setUint16(12 + 4 * index, type);
    data.setUint16(14 + 4 * index, tci);
  }
  out.set(frame.subarray(12), 12 + 4 * list.length);
  return out;
}
