import { expectLength, viewOf } from "./body.ts";

/** Capability bits of PTP_GET_CAPS. */
export const PTP_CAP = { RX_TIMESTAMPS: 0x2, READ_CLOCK: 0x4 } as const;

const LENGTH = 48;

/** PTP_GET_CAPS (60), request and reply: capability bits, 48 bytes. */
export function buildPtpCaps(caps: number): Uint8Array {
  const body = new Uint8Array(LENGTH);
  viewOf(body).setUint32(0, caps >>> 0, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parsePtpCaps(body: Uint8Array): number {
  return expectLength("PTP_GET_CAPS", body, LENGTH).getUint32(0, true);
}
