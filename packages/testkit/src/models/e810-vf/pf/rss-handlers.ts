import {
  PROTO_FIELD,
  PROTO_HEADER,
  RSS_ALGORITHM,
  VIRTCHNL_STATUS,
  parseHena,
  parseRssConfig,
  parseRssHashFunction,
  type ProtoHeader,
} from "@vfmig/iavf";
import type { PfHandler } from "../../intel-vf/pf/handler.ts";
import { HASH_TYPE } from "../../net/classify.ts";
import { HASH_FIELD } from "../../net/hash-input.ts";

/** Hash types that ice offers and has on from the start: all of IPv4 and IPv6, none of layer 2. */
export const ICE_HASH_TYPES: bigint = [
  29, 30, 31, 32, 33, 34, 35, 36, 39, 40, 41, 42, 43, 44, 45, 46,
].reduce((bits, type) => bits | (1n << BigInt(type)), 0n);

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

/** Everything set up before goes first, also where the new types are refused. */
export const setHashTypes: PfHandler = {
  run({ rss }, body) {
    const types = parseHena(body);
    const known = (types & ~ICE_HASH_TYPES) === 0n;
    rss.resetFields();
    rss.setHashTypes(known ? types : 0n);
    return known ? SUCCESS : PARAM;
  },
};

/** Symmetric Toeplitz, or the plain one for any other number. */
export const configHashFunction: PfHandler = {
  run({ options, rss }, body) {
    const { vsiId, algorithm } = parseRssHashFunction(body);
    if (vsiId !== options.vsiId) return PARAM;
    rss.symmetric = algorithm === RSS_ALGORITHM.TOEPLITZ_SYMMETRIC;
    return SUCCESS;
  },
};

/** Which hash types a layer 4 header means, by IP version; without one: what is left of that version. */
const FLOW_TYPES: Readonly<Record<number, Readonly<Record<number, readonly number[]>>>> = {
  [PROTO_HEADER.IPV4]: {
    0: [HASH_TYPE.IPV4_OTHER, HASH_TYPE.IPV4_FRAG],
    [PROTO_HEADER.TCP]: [HASH_TYPE.IPV4_TCP],
    [PROTO_HEADER.UDP]: [HASH_TYPE.IPV4_UDP],
    [PROTO_HEADER.SCTP]: [HASH_TYPE.IPV4_SCTP],
  },
  [PROTO_HEADER.IPV6]: {
    0: [HASH_TYPE.IPV6_OTHER, HASH_TYPE.IPV6_FRAG],
    [PROTO_HEADER.TCP]: [HASH_TYPE.IPV6_TCP],
    [PROTO_HEADER.UDP]: [HASH_TYPE.IPV6_UDP],
    [PROTO_HEADER.SCTP]: [HASH_TYPE.IPV6_SCTP],
  },
};

interface Flow {
  readonly types: readonly number[];
  /** Bits of {@link HASH_FIELD}. */
  readonly fields: number;
}

/**
 * ADD_RSS_CFG and DEL_RSS_CFG for IPv4 and IPv6 with TCP, UDP, SCTP or nothing above; tunnels and other
 * headers are refused, as by a PF whose package does not know them.
 */
export function changeFlow(add: boolean): PfHandler {
  return {
    run({ rss }, body) {
      const { headers, algorithm, tunnelLevel } = parseRssConfig(body);
      const { TOEPLITZ, XOR_SYMMETRIC } = RSS_ALGORITHM;
      if (algorithm < TOEPLITZ || algorithm > XOR_SYMMETRIC || tunnelLevel !== 0) return PARAM;
      const flow = flowOf(headers);
      if (flow === undefined) return PARAM;
      for (const type of flow.types) rss.setFields(type, add ? flow.fields : 0);
      return SUCCESS;
    },
  };
}

function flowOf(headers: readonly ProtoHeader[]): Flow | undefined {
  const layers = headers.filter(({ type }) => type !== PROTO_HEADER.ETH);
  const [network, transport] = layers;
  if (network === undefined || layers.length > 2) return undefined;
  const types = FLOW_TYPES[network.type]?.[transport?.type ?? 0];
  const fields = fieldsOf(network, 0) | (transport === undefined ? 0 : fieldsOf(transport, 2));
  return types === undefined || fields === 0 ? undefined : { types, fields };
}

/** Source and target of a header, as bits of {@link HASH_FIELD}: addresses at 0, ports at 2. */
function fieldsOf({ fields }: ProtoHeader, shift: number): number {
  const source = (fields & PROTO_FIELD.SOURCE) === 0 ? 0 : HASH_FIELD.SOURCE;
  const target = (fields & PROTO_FIELD.TARGET) === 0 ? 0 : HASH_FIELD.TARGET;
  // A selection with fields that are not addresses or ports is none that ice knows.
  const known = (fields & ~(PROTO_FIELD.SOURCE | PROTO_FIELD.TARGET)) === 0;
  return known ? (source | target) << shift : 0;
}
