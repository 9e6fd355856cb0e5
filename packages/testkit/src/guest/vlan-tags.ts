import { ETHERTYPE } from "../traffic/ethernet.ts";

/** Bytes of a tag. */
export const TAG_BYTES = 4;
/** Where the tag stands in a frame, in bytes. */
export const TAG_OFFSET = 12;

/** The tag of a frame, or -1 where it has none. */
export function tagOf(frame: Uint8Array): number {
  const tagged = ((frame[TAG_OFFSET] ?? 0) << 8) | (frame[TAG_OFFSET + 1] ?? 0);
  if (tagged !== ETHERTYPE.VLAN || frame.length < TAG_OFFSET + TAG_BYTES + 2) return -1;
  return ((frame[TAG_OFFSET + 2] ?? 0) << 8) | (frame[TAG_OFFSET + 3] ?? 0);
}

/** The frame without its tag, in `into`; as a stack hands it to a device that inserts tags. */
export function withoutTag(frame: Uint8Array, into: Uint8Array): Uint8Array {
  into.set(frame.subarray(0, TAG_OFFSET));
  into.set(frame.subarray(TAG_OFFSET + TAG_BYTES), TAG_OFFSET);
  return into.subarray(0, frame.length - TAG_BYTES);
}

/** The frame with `tag` in it, in `into`; as a capture shows a frame whose tag was stripped. */
export function withTag(frame: Uint8Array, tag: number, into: Uint8Array): Uint8Array {
  into.set(frame.subarray(0, TAG_OFFSET));
  into[TAG_OFFSET] = ETHERTYPE.VLAN >> 8;
  into[TAG_OFFSET + 1] = ETHERTYPE.VLAN & 0xff;
  into[TAG_OFFSET + 2] = tag >> 8;
  into[TAG_OFFSET + 3] = tag & 0xff;
  into.set(frame.subarray(TAG_OFFSET), TAG_OFFSET + TAG_BYTES);
  return into.subarray(0, frame.length + TAG_BYTES);
}
