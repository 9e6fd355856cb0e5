import { VfmigError } from "@vfmig/core";
import type { FrameVerdict } from "./port.ts";

/**
 * The socket protocol between a wire and a port. Each message is {u32 length of what follows, u8 type,
 * payload}, little endian. Both sides begin with HELLO.
 */
export const WIRE_MESSAGE = {
  /** Both: {u32 magic, u16 version}. */
  HELLO: 1,
  /** Wire to port: {u32 id, frame}. */
  TO_PORT: 2,
  /** Port to wire: {frame}. */
  FROM_PORT: 3,
  /** Port to wire: {u32 id, u8 verdict, u64 CLOCK_MONOTONIC in ns}. */
  VERDICT: 4,
  /** Wire to port: {u32 token}; answered once everything before it was handled. */
  PING: 5,
  /** Port to wire: {u32 token}. */
  PONG: 6,
  /** Wire to port: frames come from now on; tell which one is the first that the device takes. */
  CONNECT: 7,
  /** Port to wire: {u8 on}: hold frames, or go on (802.3x). A wire without flow control ignores it. */
  PAUSE: 8,
} as const;

export type WireMessageType = (typeof WIRE_MESSAGE)[keyof typeof WIRE_MESSAGE];

export const WIRE_MAGIC = 0x7770_6676;
export const WIRE_VERSION = 2;
/** Longest frame on a wire, in bytes: above the 9,728 of a 700-series port. */
export const MAX_WIRE_FRAME = 16_384;
/** Length field and type. */
export const MESSAGE_HEADER = 5;
/** Longest message after its length field. */
export const MAX_MESSAGE: number = 1 + 4 + MAX_WIRE_FRAME;

/** Payload bytes of each type: [least, most]. */
const PAYLOADS: Readonly<Record<number, readonly [number, number]>> = {
  [WIRE_MESSAGE.HELLO]: [6, 6],
  [WIRE_MESSAGE.TO_PORT]: [4, 4 + MAX_WIRE_FRAME],
  [WIRE_MESSAGE.FROM_PORT]: [0, MAX_WIRE_FRAME],
  [WIRE_MESSAGE.VERDICT]: [13, 13],
  [WIRE_MESSAGE.PING]: [4, 4],
  [WIRE_MESSAGE.PONG]: [4, 4],
  [WIRE_MESSAGE.CONNECT]: [0, 0],
  [WIRE_MESSAGE.PAUSE]: [1, 1],
};

const VERDICTS: readonly FrameVerdict[] = [
  "accepted",
  "queue-disabled",
  "no-descriptor",
  "filtered",
  "too-long",
  "dma-fault",
];

export function verdictNumber(verdict: FrameVerdict): number {
  return VERDICTS.indexOf(verdict);
}

/** @throws VfmigError `ERR_VFMIG_WIRE_PROTOCOL` */
export function verdictName(number: number): FrameVerdict {
  const name = VERDICTS[number];
  if (name === undefined) throw protocolError(`verdict ${number} is unknown`);
  return name;
}

/** @throws VfmigError `ERR_VFMIG_WIRE_PROTOCOL` for an unknown type or a payload of the wrong length */
export function checkMessage(type: number, payload: Uint8Array): void {
  const range = PAYLOADS[type];
  if (range === undefined) throw protocolError(`message type ${type} is unknown`, { type });
  if (payload.length < range[0] || payload.length > range[1]) {
    throw protocolError(`a message of type ${type} has ${payload.length} bytes`, {
      type,
      length: payload.length,
    });
  }
}

/** @throws VfmigError `ERR_VFMIG_WIRE_PROTOCOL` */
export function checkHello(payload: Uint8Array): void {
  const data = viewOf(payload);
  if (data.getUint32(0, true) !== WIRE_MAGIC) throw protocolError("the peer is no wire or port");
  const version = data.getUint16(4, true);
  if (version !== WIRE_VERSION) {
    throw protocolError(`the peer speaks version ${version}, this side ${WIRE_VERSION}`, {
      version,
    });
  }
}

/** A message ready to be sent, with `payloadBytes` bytes of payload to fill in behind its header. */
export function newMessage(type: WireMessageType, payloadBytes: number): Uint8Array {
  const message = new Uint8Array(MESSAGE_HEADER + payloadBytes);
  const data = viewOf(message);
  data.setUint32(0, 1 + payloadBytes, true);
  data.setUint8(4, type);
  return message;
}

export function helloMessage(): Uint8Array {
  const message = newMessage(WIRE_MESSAGE.HELLO, 6);
  const data = viewOf(message);
  data.setUint32(MESSAGE_HEADER, WIRE_MAGIC, true);
  data.setUint16(MESSAGE_HEADER + 4, WIRE_VERSION, true);
  return message;
}

export function tokenMessage(type: WireMessageType, token: number): Uint8Array {
  const message = newMessage(type, 4);
  viewOf(message).setUint32(MESSAGE_HEADER, token, true);
  return message;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function protocolError(
  why: string,
  details: Readonly<Record<string, unknown>> = {},
): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_WIRE_PROTOCOL",
    `wire protocol: ${why}; the connection is closed, join only wires and ports of one vfmig version`,
    { layer: "testkit", details },
  );
}
