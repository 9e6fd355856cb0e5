import { VIRTCHNL_STATUS, buildHena, expectLength, parseRssKey, parseRssLut } from "@vfmig/iavf";
import { RSS_KEY_SIZE, RSS_LUT_SIZE } from "../rss.ts";
import type { PfHandler } from "./handler.ts";

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

export const configKey: PfHandler = {
  run({ options, rss }, body) {
    const { vsiId, key } = parseRssKey(body);
    if (vsiId !== options.vsiId || key.length !== RSS_KEY_SIZE) return PARAM;
    rss.setKey(key);
    return SUCCESS;
  },
};

/** `checksQueues`: entries beyond the VF's queues are refused (i40e), not only of no use (ice). */
export function configLut(checksQueues: boolean): PfHandler {
  return {
    run({ options, state, rss }, body) {
      const { vsiId, lut } = parseRssLut(body);
      if (vsiId !== options.vsiId || lut.length !== RSS_LUT_SIZE) return PARAM;
      if (checksQueues && lut.some((queue) => queue >= state.queuePairs)) return PARAM;
      rss.setLut(lut);
      return SUCCESS;
    },
  };
}

/** GET_RSS_HENA_CAPS: the hash types that the PF offers. */
export function getHashTypes(offered: bigint): PfHandler {
  return {
    run(_hardware, body) {
      expectLength("GET_RSS_HENA_CAPS", body, 0);
      return buildHena(offered);
    },
  };
}
