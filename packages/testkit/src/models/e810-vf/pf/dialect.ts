import { VIRTCHNL_OP as OP, VIRTCHNL_STATUS } from "@vfmig/iavf";
import type { PfDialect, PfHandler } from "../../intel-vf/pf/handler.ts";
import { configKey, configLut, getHashTypes } from "../../intel-vf/pf/rss-handlers.ts";
import { getStats, requestQueues, resetVf, version } from "../../intel-vf/pf/session-handlers.ts";
import { isAllowed } from "./allow-list.ts";
import { addMacs, deleteMacs, setPromiscuous } from "./mac-handlers.ts";
import { configQuanta, configQueueRates, getQosCaps } from "./qos-handlers.ts";
import { configIrqMap, disableQueues, enableQueues } from "./queue-handlers.ts";
import { configQueues } from "./queue-config.ts";
import { getResources, getRxFormats } from "./resources.ts";
import { ICE_HASH_TYPES, changeFlow, configHashFunction, setHashTypes } from "./rss-handlers.ts";
import { addVlansV1, deleteVlansV1, setStrippingV1 } from "./vlan-v1-handlers.ts";
import { addVlans, deleteVlans, getVlanCaps, setInsertion, setStripping } from "./vlan-handlers.ts";

/** What the PF has no handler for, though its list allows it. */
const refused: PfHandler = { run: () => VIRTCHNL_STATUS.NOT_SUPPORTED };

/** What an ice PF answers, once its list allows the operation. */
const REQUESTS: ReadonlyMap<number, PfHandler> = new Map([
  [OP.VERSION, version],
  [OP.RESET_VF, resetVf],
  [OP.GET_VF_RESOURCES, getResources],
  [OP.CONFIG_TX_QUEUE, refused],
  [OP.CONFIG_RX_QUEUE, refused],
  [OP.EVENT, refused],
  [OP.CONFIG_VSI_QUEUES, configQueues],
  [OP.CONFIG_IRQ_MAP, configIrqMap],
  [OP.ENABLE_QUEUES, enableQueues],
  [OP.DISABLE_QUEUES, disableQueues],
  [OP.ADD_ETH_ADDR, addMacs],
  [OP.DEL_ETH_ADDR, deleteMacs],
  [OP.CONFIG_PROMISCUOUS_MODE, setPromiscuous],
  [OP.GET_STATS, getStats()],
  [OP.REQUEST_QUEUES, requestQueues(false)],
  [OP.ADD_VLAN, addVlansV1],
  [OP.DEL_VLAN, deleteVlansV1],
  [OP.ENABLE_VLAN_STRIPPING, setStrippingV1(true)],
  [OP.DISABLE_VLAN_STRIPPING, setStrippingV1(false)],
  [OP.GET_OFFLOAD_VLAN_V2_CAPS, getVlanCaps],
  [OP.ADD_VLAN_V2, addVlans],
  [OP.DEL_VLAN_V2, deleteVlans],
  [OP.ENABLE_VLAN_STRIPPING_V2, setStripping(true)],
  [OP.DISABLE_VLAN_STRIPPING_V2, setStripping(false)],
  [OP.ENABLE_VLAN_INSERTION_V2, setInsertion(true)],
  [OP.DISABLE_VLAN_INSERTION_V2, setInsertion(false)],
  [OP.CONFIG_RSS_KEY, configKey],
  [OP.CONFIG_RSS_LUT, configLut(false)],
  [OP.GET_RSS_HENA_CAPS, getHashTypes(ICE_HASH_TYPES)],
  [OP.SET_RSS_HENA, setHashTypes],
  [OP.CONFIG_RSS_HFUNC, configHashFunction],
  [OP.ADD_RSS_CFG, changeFlow(true)],
  [OP.DEL_RSS_CFG, changeFlow(false)],
  [OP.GET_SUPPORTED_RXDIDS, getRxFormats],
  [OP.GET_QOS_CAPS, getQosCaps],
  [OP.CONFIG_QUEUE_BW, configQueueRates],
  [OP.CONFIG_QUANTA, configQuanta],
]);

export const iceDialect: PfDialect = {
  requests: REQUESTS,
  refusal({ active, granted }, opcode) {
    return isAllowed(opcode, active, granted) ? undefined : VIRTCHNL_STATUS.NOT_SUPPORTED;
  },
  rebuilt({ filters, rss, state }) {
    // VLAN pruning is on from the start; a driver of VLAN v1 turns it off with op 3.
    filters.pruneVlans = true;
    rss.setHashTypes(ICE_HASH_TYPES);
    rss.setLut(Uint8Array.from({ length: 64 }, (_, entry) => entry % state.queuePairs));
  },
};
