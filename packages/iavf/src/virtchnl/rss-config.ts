import { bodyError } from "../errors.ts";
import { expectLength, viewOf } from "./body.ts";

/** Protocol headers of an RSS flow, by the numbers of the public header. */
export const PROTO_HEADER = {
  ETH: 1,
  S_VLAN: 2,
  C_VLAN: 3,
  IPV4: 4,
  IPV6: 5,
  TCP: 6,
  UDP: 7,
  SCTP: 8,
} as const;

/** Field bits: of IPv4 and IPv6 the source and target address, of TCP, UDP and SCTP the ports. */
export const PROTO_FIELD = { SOURCE: 1, TARGET: 2 } as const;

/** Hash algorithms of RSS requests. */
export const RSS_ALGORITHM = {
  TOEPLITZ: 0,
  R: 1,
  TOEPLITZ_SYMMETRIC: 2,
  XOR_SYMMETRIC: 3,
} as const;

export interface ProtoHeader {
  /** See {@link PROTO_HEADER}; others exist. */
  readonly type: number;
  readonly fields: number;
}

/** ADD_RSS_CFG (45) and DEL_RSS_CFG (46): which fields of one kind of packet are hashed. */
export interface RssConfig {
  /** 0: the outer headers. */
  readonly tunnelLevel: number;
  /** Outermost first, at most 32. */
  readonly headers: readonly ProtoHeader[];
  readonly algorithm: number;
}

/** Headers of one flow at most; a greater count announces a raw pattern. */
export const RSS_CONFIG_HEADERS = 32;

const LENGTH = 2444;
const HEADERS_AT = 8;
const HEADER_SIZE = 72;
const ALGORITHM_AT = 2312;

export function buildRssConfig(config: RssConfig): Uint8Array {
  const body = new Uint8Array(LENGTH);
  const data = viewOf(body);
  data.setUint8(0, config.tunnelLevel);
  data.setInt32(4, config.headers.length, true);
  for (const [index, { type, fields }] of config.headers.entries()) {
    data.setInt32(HEADERS_AT + HEADER_SIZE * index, type, true);
    data.setUint32(HEADERS_AT + HEADER_SIZE * index + 4, fields >>> 0, true);
  }
  data.setInt32(ALGORITHM_AT, config.algorithm, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY`, also for a raw pattern */
export function parseRssConfig(body: Uint8Array): RssConfig {
  const what = "RSS flow configuration";
  const data = expectLength(what, body, LENGTH);
  const count = data.getInt32(4, true);
  if (count < 0 || count > RSS_CONFIG_HEADERS) {
    throw bodyError(what, `${count} headers are not between 0 and ${RSS_CONFIG_HEADERS}`, {
      count,
    });
  }
  return {
    tunnelLevel: data.getUint8(0),
    headers: Array.from({ length: count }, (_, index) => ({
      type: data.getInt32(HEADERS_AT + HEADER_SIZE * index, true),
      fields: data.getUint32(HEADERS_AT + HEADER_SIZE * index + 4, true),
    })),
    algorithm: data.getInt32(ALGORITHM_AT, true),
  };
}
