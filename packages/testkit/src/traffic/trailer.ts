import { crc32 } from "node:zlib";
import { VfmigError } from "@vfmig/core";
import { MAX_FRAME, MIN_FRAME } from "./ethernet.ts";

/**
 * The sequence trailer, the last 16 bytes of a marked frame, little endian:
 * 0 magic u32, 4 flow u16, 6 original length u16, 8 sequence u32, 12 CRC-32 of everything before it.
 * It stands where Ethernet padding may stand, so a network stack ignores it.
 */
export const TRAILER_BYTES = 16;
/** Longest marked frame: below 1534, the `max_pkt_size` that iavf sets for MTU 1500. */
export const MAX_MARKED_FRAME: number = MAX_FRAME + TRAILER_BYTES;
export const MAX_FLOWS = 65_536;
export const MAX_SEQUENCE = 0xffff_ffff;

const MAGIC = 0x7166_6d76; // "vmfq"
const FLOW = 4;
const LENGTH = 6;
const SEQUENCE = 8;
const CRC = 12;

/** A frame that is sent again and again, each time under its flow's next sequence number. */
export interface MarkedFrame {
  readonly flow: number;
  /** Writes the sequence number, and gives the whole marked frame; the next call overwrites it. */
  stamp(sequence: number): Uint8Array;
}

/**
 * Prepares `frame` for flow number `flow`: padded so that frame and trailer have at least 60 bytes,
 * since a NIC would pad a shorter one behind the trailer.
 *
 * @param longest bytes of a frame at most; default that of MTU 1500
 * @throws VfmigError `ERR_VFMIG_TRAFFIC_FRAME` where the frame is no Ethernet frame or is too long
 */
export function markFrame(
  frame: Uint8Array,
  flow: number,
  longest: number = MAX_FRAME,
): MarkedFrame {
  if (frame.length < 14 || frame.length > longest || flow < 0 || flow >= MAX_FLOWS) {
    throw new VfmigError(
      "ERR_VFMIG_TRAFFIC_FRAME",
      `a frame of ${frame.length} bytes in flow ${flow} cannot carry a trailer: 14 to ${longest} ` +
        `bytes and flows 0 to ${MAX_FLOWS - 1} can; capture with offloads off`,
      { layer: "testkit", details: { length: frame.length, flow } },
    );
  }
  const content = Math.max(frame.length, MIN_FRAME - TRAILER_BYTES);
  const bytes = new Uint8Array(content + TRAILER_BYTES);
  bytes.set(frame);
  const data = new DataView(bytes.buffer, content, TRAILER_BYTES);
  data.setUint32(0, MAGIC, true);
  data.setUint16(FLOW, flow, true);
  data.setUint16(LENGTH, frame.length, true);
  const fixedCrc = crc32(bytes.subarray(0, content + SEQUENCE));
  const sequenceBytes = bytes.subarray(content + SEQUENCE, content + CRC);
  return {
    flow,
    stamp(sequence) {
      data.setUint32(SEQUENCE, sequence, true);
      data.setUint32(CRC, crc32(sequenceBytes, fixedCrc), true);
      return bytes;
    },
  };
}

/** What a trailer says; reused by {@link readTrailer}, so that receiving allocates little. */
export interface Trailer {
  flow: number;
  sequence: number;
  /** Bytes of the frame before padding and trailer. */
  length: number;
}

export type TrailerVerdict =
  | "ok"
  /** No trailer at all: too short, or another magic. */
  | "unmarked"
  /** A trailer whose CRC or length is wrong; `into` says what it claims. */
  | "corrupted";

/** Checks the trailer of `frame` and reads it into `into`. */
export function readTrailer(frame: Uint8Array, into: Trailer): TrailerVerdict {
  const content = frame.length - TRAILER_BYTES;
  if (frame.length < MIN_FRAME || u32(frame, content) !== MAGIC) return "unmarked";
  into.flow = u16(frame, content + FLOW);
  into.sequence = u32(frame, content + SEQUENCE);
  into.length = u16(frame, content + LENGTH);
  const crc = crc32(frame.subarray(0, content + CRC));
  if (crc !== u32(frame, content + CRC)) return "corrupted";
  const padded = Math.max(into.length, MIN_FRAME - TRAILER_BYTES);
  return padded === content ? "ok" : "corrupted";
}

/** The frame as it was before {@link markFrame}: a view without padding and trailer. */
export function removeTrailer(frame: Uint8Array, trailer: Trailer): Uint8Array {
  return frame.subarray(0, trailer.length);
}

function u16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

function u32(bytes: Uint8Array, offset: number): number {
  return (u16(bytes, offset) | (u16(bytes, offset + 2) << 16)) >>> 0;
}
