import { crc32 } from "node:zlib";
import { FLAG_MANDATORY, FRAME, PREAMBLE, STATE_FORMAT_VERSION, STATE_MAGIC } from "./layout.ts";

/** One record as it stands in the stream. */
export interface Frame {
  readonly index: number;
  /** Bytes from the beginning of the stream to the record's head. */
  readonly offset: number;
  readonly type: number;
  readonly mandatory: boolean;
  /** Valid until the next record is asked for. */
  readonly payload: Uint8Array;
}

/** The bytes before the first record. */
export function encodePreamble(): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE.size);
  bytes.set(STATE_MAGIC, PREAMBLE.magic);
  new DataView(bytes.buffer).setUint32(PREAMBLE.version, STATE_FORMAT_VERSION, true);
  return bytes;
}

/** CRC over the head before the CRC field, then the payload. `head` begins at the record. */
export function frameCrc(head: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(head.subarray(0, FRAME.crc)));
}

/** One record, head and payload. */
export function encodeFrame(
  index: number,
  type: number,
  mandatory: boolean,
  payload: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(FRAME.size + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(FRAME.type, type, true);
  view.setUint16(FRAME.flags, mandatory ? FLAG_MANDATORY : 0, true);
  view.setUint32(FRAME.sequence, index, true);
  view.setUint32(FRAME.length, payload.length, true);
  bytes.set(payload, FRAME.size);
  view.setUint32(FRAME.crc, frameCrc(bytes, payload), true);
  return bytes;
}
