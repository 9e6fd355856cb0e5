import { bodyError } from "../errors.ts";
import { expectLength, macFromString, macToString, viewOf } from "./body.ts";

/** VERSION (1), request and reply: 8 bytes. */
export interface VirtchnlVersion {
  readonly major: number;
  readonly minor: number;
}

export function buildVersion(version: VirtchnlVersion = { major: 1, minor: 1 }): Uint8Array {
  const body = new Uint8Array(8);
  const data = viewOf(body);
  data.setUint32(0, version.major, true);
  data.setUint32(4, version.minor, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseVersion(body: Uint8Array): VirtchnlVersion {
  const data = expectLength("VERSION", body, 8);
  return { major: data.getUint32(0, true), minor: data.getUint32(4, true) };
}

/** GET_VF_RESOURCES (3), request: capability bits, 4 bytes; none with version 1.0. */
export function buildResourcesRequest(caps: number): Uint8Array {
  const body = new Uint8Array(4);
  viewOf(body).setUint32(0, caps >>> 0, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseResourcesRequest(body: Uint8Array): number {
  return expectLength("GET_VF_RESOURCES request", body, 4).getUint32(0, true);
}

/** Byte offsets in the reply to GET_VF_RESOURCES. */
export const RESOURCES_FIELD = {
  NUM_VSIS: 0,
  NUM_QUEUE_PAIRS: 2,
  MAX_VECTORS: 4,
  MAX_MTU: 6,
  CAPS: 8,
  RSS_KEY_SIZE: 12,
  RSS_LUT_SIZE: 16,
  VSI_ID: 20,
  VSI_QUEUE_PAIRS: 22,
  VSI_TYPE: 24,
  QSET: 28,
  MAC: 30,
} as const;

/** i40e sends one spare VSI element, ice none. */
export const RESOURCES_LENGTH = { I40E: 52, ICE: 36 } as const;

/** The only VSI type that the guest's driver accepts. */
export const VSI_TYPE_SRIOV = 6;

/** Longest reply that the driver copies. */
const RESOURCES_MAX = 84;

/** Reply to GET_VF_RESOURCES, with its one VSI. */
export interface VfResources {
  readonly queuePairs: number;
  /** MSI-X vectors, that of the mailbox included. */
  readonly maxVectors: number;
  /** Largest frame in bytes; 0 where no limit is told. */
  readonly maxFrame: number;
  readonly caps: number;
  readonly rssKeySize: number;
  readonly rssLutSize: number;
  readonly vsiId: number;
  readonly vsiType: number;
  readonly qset: number;
  /** `00:00:00:00:00:00` lets the guest choose. */
  readonly mac: string;
}

/** The reply, padded with zeros to `length` bytes. */
export function buildResources(
  resources: VfResources,
  length: number = RESOURCES_LENGTH.I40E,
): Uint8Array {
  const body = new Uint8Array(length);
  const data = viewOf(body);
  data.setUint16(RESOURCES_FIELD.NUM_VSIS, 1, true);
  data.setUint16(RESOURCES_FIELD.NUM_QUEUE_PAIRS, resources.queuePairs, true);
  data.setUint16(RESOURCES_FIELD.MAX_VECTORS, resources.maxVectors, true);
  data.setUint16(RESOURCES_FIELD.MAX_MTU, resources.maxFrame, true);
  data.setUint32(RESOURCES_FIELD.CAPS, resources.caps >>> 0, true);
  data.setUint32(RESOURCES_FIELD.RSS_KEY_SIZE, resources.rssKeySize, true);
  data.setUint32(RESOURCES_FIELD.RSS_LUT_SIZE, resources.rssLutSize, true);
  data.setUint16(RESOURCES_FIELD.VSI_ID, resources.vsiId, true);
  data.setUint16(RESOURCES_FIELD.VSI_QUEUE_PAIRS, resources.queuePairs, true);
  data.setInt32(RESOURCES_FIELD.VSI_TYPE, resources.vsiType, true);
  data.setUint16(RESOURCES_FIELD.QSET, resources.qset, true);
  body.set(macFromString(resources.mac), RESOURCES_FIELD.MAC);
  return body;
}

/**
 * Reads the reply's fixed part and first VSI.
 * @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY`
 */
export function parseResources(body: Uint8Array): VfResources {
  const what = "GET_VF_RESOURCES reply";
  if (body.length < RESOURCES_LENGTH.ICE || body.length > RESOURCES_MAX) {
    throw bodyError(
      what,
      `${body.length} bytes are not between ${RESOURCES_LENGTH.ICE} and ${RESOURCES_MAX}`,
      { length: body.length },
    );
  }
  const data = viewOf(body);
  const vsis = data.getUint16(RESOURCES_FIELD.NUM_VSIS, true);
  if (vsis < 1) {
    throw bodyError(what, "it names no VSI", { vsis });
  }
  return {
    queuePairs: data.getUint16(RESOURCES_FIELD.NUM_QUEUE_PAIRS, true),
    maxVectors: data.getUint16(RESOURCES_FIELD.MAX_VECTORS, true),
    maxFrame: data.getUint16(RESOURCES_FIELD.MAX_MTU, true),
    caps: data.getUint32(RESOURCES_FIELD.CAPS, true),
    rssKeySize: data.getUint32(RESOURCES_FIELD.RSS_KEY_SIZE, true),
    rssLutSize: data.getUint32(RESOURCES_FIELD.RSS_LUT_SIZE, true),
    vsiId: data.getUint16(RESOURCES_FIELD.VSI_ID, true),
    vsiType: data.getInt32(RESOURCES_FIELD.VSI_TYPE, true),
    qset: data.getUint16(RESOURCES_FIELD.QSET, true),
    mac: macToString(body.subarray(RESOURCES_FIELD.MAC, RESOURCES_FIELD.MAC + 6)),
  };
}

/** REQUEST_QUEUES (29), request and refusal: the number of pairs, 2 bytes. */
export function buildRequestQueues(pairs: number): Uint8Array {
  const body = new Uint8Array(2);
  viewOf(body).setUint16(0, pairs, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseRequestQueues(body: Uint8Array): number {
  return expectLength("REQUEST_QUEUES", body, 2).getUint16(0, true);
}
