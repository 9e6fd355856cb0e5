import { VF_CAP, VIRTCHNL_OP as OP } from "@vfmig/iavf";

/** Operations that ice takes from a VF at any time. */
const ALWAYS: readonly number[] = [OP.VERSION, OP.RESET_VF, OP.GET_VF_RESOURCES];

/** What comes with GET_VF_RESOURCES whatever was granted. */
const WORKING: readonly number[] = [
  OP.CONFIG_TX_QUEUE,
  OP.CONFIG_RX_QUEUE,
  OP.CONFIG_VSI_QUEUES,
  OP.CONFIG_IRQ_MAP,
  OP.ENABLE_QUEUES,
  OP.DISABLE_QUEUES,
  OP.GET_STATS,
  OP.EVENT,
];

/** What each granted capability opens. Capabilities that are not here open no operation. */
const BY_CAPABILITY: readonly (readonly [number, readonly number[]])[] = [
  [VF_CAP.L2, [OP.ADD_ETH_ADDR, OP.DEL_ETH_ADDR, OP.CONFIG_PROMISCUOUS_MODE]],
  [VF_CAP.REQ_QUEUES, [OP.REQUEST_QUEUES]],
  [VF_CAP.VLAN, [OP.ADD_VLAN, OP.DEL_VLAN, OP.ENABLE_VLAN_STRIPPING, OP.DISABLE_VLAN_STRIPPING]],
  [
    VF_CAP.VLAN_V2,
    [
      OP.GET_OFFLOAD_VLAN_V2_CAPS,
      OP.ADD_VLAN_V2,
      OP.DEL_VLAN_V2,
      OP.ENABLE_VLAN_STRIPPING_V2,
      OP.DISABLE_VLAN_STRIPPING_V2,
      OP.ENABLE_VLAN_INSERTION_V2,
      OP.DISABLE_VLAN_INSERTION_V2,
    ],
  ],
  [
    VF_CAP.RSS_PF,
    [
      OP.CONFIG_RSS_KEY,
      OP.CONFIG_RSS_LUT,
      OP.GET_RSS_HENA_CAPS,
      OP.SET_RSS_HENA,
      OP.CONFIG_RSS_HFUNC,
    ],
  ],
  [VF_CAP.RX_FLEX_DESC, [OP.GET_SUPPORTED_RXDIDS]],
  [VF_CAP.ADV_RSS_PF, [OP.ADD_RSS_CFG, OP.DEL_RSS_CFG]],
  [VF_CAP.QOS, [OP.GET_QOS_CAPS, OP.CONFIG_QUEUE_BW, OP.CONFIG_QUANTA]],
];

/** True where ice looks at the operation at all; `granted` counts once the session is active. */
export function isAllowed(opcode: number, active: boolean, granted: number): boolean {
  if (ALWAYS.includes(opcode)) return true;
  if (!active) return false;
  if (WORKING.includes(opcode)) return true;
  return BY_CAPABILITY.some(([bit, ops]) => (granted & bit) !== 0 && ops.includes(opcode));
}
