import {
  DEFAULT_HENA,
  RESOURCES_LENGTH,
  STATS_LENGTH,
  VF_CAP,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  expectLength,
  parseHena,
  parseResourcesRequest,
} from "@vfmig/iavf";
import { TAG_TYPE } from "../../intel-vf/filters.ts";
import type { PfDialect, PfHandler } from "../../intel-vf/pf/handler.ts";
import { configKey, configLut, getHashTypes } from "../../intel-vf/pf/rss-handlers.ts";
import {
  getStats,
  requestQueues,
  resetVf,
  resourcesReply,
  version,
} from "../../intel-vf/pf/session-handlers.ts";
import {
  addMacs,
  addVlans,
  deleteMacs,
  deleteVlans,
  setPromiscuous,
  setStripping,
} from "./filter-handlers.ts";
import { configIrqMap, configQueues, disableQueues, enableQueues } from "./queue-handlers.ts";

/** Given whenever asked for; others that iavf asks for do not exist on this generation. */
const ON_REQUEST = VF_CAP.ENCAP | VF_CAP.REQ_QUEUES | VF_CAP.ADQ | VF_CAP.RX_POLLING;

/** What a driver of protocol 1.0, which cannot ask, is taken to want. */
const CAPS_OF_1_0 = VF_CAP.L2 | VF_CAP.RSS_REG | VF_CAP.VLAN;

/** Operations that are taken before GET_VF_RESOURCES. */
const BEFORE_SESSION: ReadonlySet<number> = new Set([OP.VERSION, OP.RESET_VF, OP.GET_VF_RESOURCES]);

const getResources: PfHandler = {
  tellsLink: true,
  run({ options, state, filters }, body) {
    if (state.minor === 0) expectLength("GET_VF_RESOURCES of version 1.0", body, 0);
    const wanted = state.minor === 0 ? CAPS_OF_1_0 : parseResourcesRequest(body);
    // Recent PF drivers answer once between two resets.
    if (state.active) return VIRTCHNL_STATUS.PARAM;
    state.granted = grant(wanted, options.grantedCaps);
    state.active = true;
    // The missing USO bit marks an old driver, which is left to choose its address.
    if ((wanted & VF_CAP.USO) === 0 && !options.adminMac) {
      filters.macs.delete(state.mac);
      state.mac = 0;
    }
    return resourcesReply(state, RESOURCES_LENGTH.I40E);
  },
};

function grant(wanted: number, limit: number | undefined): number {
  const rss = wanted & VF_CAP.RSS_PF ? VF_CAP.RSS_PF : VF_CAP.RSS_REG;
  const always = VF_CAP.L2 | VF_CAP.ADV_LINK_SPEED | VF_CAP.VLAN;
  return ((always | rss | (wanted & ON_REQUEST)) & (limit ?? ~0)) >>> 0;
}

const setHashTypes: PfHandler = {
  run({ rss }, body) {
    rss.setHashTypes(parseHena(body));
    return VIRTCHNL_STATUS.SUCCESS;
  },
};

/** Channels and cloud filters are refused while the spoof check is on or no channel exists. */
const refused: PfHandler = { run: () => VIRTCHNL_STATUS.PARAM };

/** What an i40e PF answers. Everything else is "not supported". */
const REQUESTS: ReadonlyMap<number, PfHandler> = new Map([
  [OP.VERSION, version],
  [OP.RESET_VF, resetVf],
  [OP.GET_VF_RESOURCES, getResources],
  [OP.CONFIG_VSI_QUEUES, configQueues],
  [OP.CONFIG_IRQ_MAP, configIrqMap],
  [OP.ENABLE_QUEUES, enableQueues],
  [OP.DISABLE_QUEUES, disableQueues],
  [OP.ADD_ETH_ADDR, addMacs],
  [OP.DEL_ETH_ADDR, deleteMacs],
  [OP.ADD_VLAN, addVlans],
  [OP.DEL_VLAN, deleteVlans],
  [OP.CONFIG_PROMISCUOUS_MODE, setPromiscuous],
  [OP.GET_STATS, getStats(STATS_LENGTH.I40E)],
  // An event is the PF's to send.
  [OP.EVENT, refused],
  [OP.CONFIG_RSS_KEY, configKey],
  [OP.CONFIG_RSS_LUT, configLut(true)],
  [OP.GET_RSS_HENA_CAPS, getHashTypes(DEFAULT_HENA)],
  [OP.SET_RSS_HENA, setHashTypes],
  [OP.ENABLE_VLAN_STRIPPING, setStripping(true)],
  [OP.DISABLE_VLAN_STRIPPING, setStripping(false)],
  [OP.REQUEST_QUEUES, requestQueues(true)],
  [OP.ENABLE_CHANNELS, refused],
  [OP.DISABLE_CHANNELS, refused],
  [OP.ADD_CLOUD_FILTER, refused],
  [OP.DEL_CLOUD_FILTER, refused],
]);

export const i40eDialect: PfDialect = {
  requests: REQUESTS,
  refusal(state, opcode) {
    if (!REQUESTS.has(opcode)) return VIRTCHNL_STATUS.NOT_SUPPORTED;
    const early = !state.active && !BEFORE_SESSION.has(opcode);
    return early ? VIRTCHNL_STATUS.PARAM : undefined;
  },
  rebuilt({ filters }) {
    filters.insertOuterType = TAG_TYPE.S_VLAN;
  },
};
