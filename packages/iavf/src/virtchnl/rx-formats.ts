import { expectLength, viewOf } from "./body.ts";

/** Reply of GET_SUPPORTED_RXDIDS (44): bit n is write-back format n; 8 bytes. */
export function buildSupportedRxdids(formats: bigint): Uint8Array {
  const body = new Uint8Array(8);
  viewOf(body).setBigUint64(0, formats, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseSupportedRxdids(body: Uint8Array): bigint {
  return expectLength("GET_SUPPORTED_RXDIDS reply", body, 8).getBigUint64(0, true);
}
