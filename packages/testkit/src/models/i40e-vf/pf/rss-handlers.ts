import {
  DEFAULT_HENA,
  VIRTCHNL_STATUS,
  buildHena,
  expectLength,
  parseHena,
  parseRssKey,
  parseRssLut,
} from "@vfmig/iavf";
import { RSS_KEY_SIZE, RSS_LUT_SIZE } from "../rss.ts";
import type { PfHandler } from "./handler.ts";

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

export const configKey: PfHandler = {
  session: true,
  run({ state, rss }, body) {
    const { vsiId, key } = parseRssKey(body);
    if (vsiId !== state.options.vsiId || key.length !== RSS_KEY_SIZE) return PARAM;
    rss.setKey(key);
    return SUCCESS;
  },
};

export const configLut: PfHandler = {
  session: true,
  run({ state, rss }, body) {
    const { vsiId, lut } = parseRssLut(body);
    if (vsiId !== state.options.vsiId || lut.length !== RSS_LUT_SIZE) return PARAM;
    if (lut.some((queue) => queue >= state.queuePairs)) return PARAM;
    rss.setLut(lut);
    return SUCCESS;
  },
};

export const getHashTypes: PfHandler = {
  session: true,
  run(_hardware, body) {
    expectLength("GET_RSS_HENA_CAPS", body, 0);
    return buildHena(DEFAULT_HENA);
  },
};

export const setHashTypes: PfHandler = {
  session: true,
  run({ rss }, body) {
    rss.setHashTypes(parseHena(body));
    return SUCCESS;
  },
};
