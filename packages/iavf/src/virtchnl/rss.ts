import { expectLength, expectCount, viewOf } from "./body.ts";

/** CONFIG_RSS_KEY (23): 5 + key length. */
export interface RssKey {
  readonly vsiId: number;
  readonly key: Uint8Array;
}

export function buildRssKey(rss: RssKey): Uint8Array {
  return buildBytes(rss.vsiId, rss.key);
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseRssKey(body: Uint8Array): RssKey {
  const { vsiId, bytes } = parseBytes("CONFIG_RSS_KEY", body);
  return { vsiId, key: bytes };
}

/** CONFIG_RSS_LUT (24): 5 + entries. */
export interface RssLut {
  readonly vsiId: number;
  /** Queue of each entry. */
  readonly lut: Uint8Array;
}

export function buildRssLut(rss: RssLut): Uint8Array {
  return buildBytes(rss.vsiId, rss.lut);
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseRssLut(body: Uint8Array): RssLut {
  const { vsiId, bytes } = parseBytes("CONFIG_RSS_LUT", body);
  return { vsiId, lut: bytes };
}

const BYTES_MAX = 512;

function buildBytes(vsiId: number, bytes: Uint8Array): Uint8Array {
  const body = new Uint8Array(5 + bytes.length);
  const data = viewOf(body);
  data.setUint16(0, vsiId, true);
  data.setUint16(2, bytes.length, true);
  body.set(bytes, 4);
  return body;
}

function parseBytes(what: string, body: Uint8Array): { vsiId: number; bytes: Uint8Array } {
  const count = expectCount(what, body, 2, BYTES_MAX, (length) => 5 + length);
  return { vsiId: viewOf(body).getUint16(0, true), bytes: body.slice(4, 4 + count) };
}

/** SET_RSS_HENA (26) and the reply of GET_RSS_HENA_CAPS (25): 64 packet-type bits, 8 bytes. */
export function buildHena(hena: bigint): Uint8Array {
  const body = new Uint8Array(8);
  viewOf(body).setBigUint64(0, hena, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseHena(body: Uint8Array): bigint {
  return expectLength("RSS hash types", body, 8).getBigUint64(0, true);
}

/** Packet types that are hashed without being asked for: {31, 33-36, 41, 43-46, 63}. */
export const DEFAULT_HENA: bigint = [31, 33, 34, 35, 36, 41, 43, 44, 45, 46, 63].reduce(
  (bits, type) => bits | (1n << BigInt(type)),
  0n,
);

/** CONFIG_RSS_HFUNC (18): 8 bytes. */
export interface RssHashFunction {
  readonly vsiId: number;
  /** 0 Toeplitz asymmetric, 2 symmetric. */
  readonly algorithm: number;
}

export function buildRssHashFunction(value: RssHashFunction): Uint8Array {
  const body = new Uint8Array(8);
  const data = viewOf(body);
  data.setUint16(0, value.vsiId, true);
  data.setUint16(2, value.algorithm, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseRssHashFunction(body: Uint8Array): RssHashFunction {
  const data = expectLength("CONFIG_RSS_HFUNC", body, 8);
  return { vsiId: data.getUint16(0, true), algorithm: data.getUint16(2, true) };
}
