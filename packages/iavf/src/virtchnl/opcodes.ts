/** virtchnl operations, by the names of the public header without the prefix `VIRTCHNL_OP_`. */
export const VIRTCHNL_OP = {
  VERSION: 1,
  RESET_VF: 2,
  GET_VF_RESOURCES: 3,
  CONFIG_TX_QUEUE: 4,
  CONFIG_RX_QUEUE: 5,
  CONFIG_VSI_QUEUES: 6,
  CONFIG_IRQ_MAP: 7,
  ENABLE_QUEUES: 8,
  DISABLE_QUEUES: 9,
  ADD_ETH_ADDR: 10,
  DEL_ETH_ADDR: 11,
  ADD_VLAN: 12,
  DEL_VLAN: 13,
  CONFIG_PROMISCUOUS_MODE: 14,
  GET_STATS: 15,
  EVENT: 17,
  CONFIG_RSS_HFUNC: 18,
  RDMA: 20,
  CONFIG_RDMA_IRQ_MAP: 21,
  RELEASE_RDMA_IRQ_MAP: 22,
  CONFIG_RSS_KEY: 23,
  CONFIG_RSS_LUT: 24,
  GET_RSS_HENA_CAPS: 25,
  SET_RSS_HENA: 26,
  ENABLE_VLAN_STRIPPING: 27,
  DISABLE_VLAN_STRIPPING: 28,
  REQUEST_QUEUES: 29,
  ENABLE_CHANNELS: 30,
  DISABLE_CHANNELS: 31,
  ADD_CLOUD_FILTER: 32,
  DEL_CLOUD_FILTER: 33,
  GET_SUPPORTED_RXDIDS: 44,
  ADD_RSS_CFG: 45,
  DEL_RSS_CFG: 46,
  ADD_FDIR_FILTER: 47,
  DEL_FDIR_FILTER: 48,
  GET_OFFLOAD_VLAN_V2_CAPS: 51,
  ADD_VLAN_V2: 52,
  DEL_VLAN_V2: 53,
  ENABLE_VLAN_STRIPPING_V2: 54,
  DISABLE_VLAN_STRIPPING_V2: 55,
  ENABLE_VLAN_INSERTION_V2: 56,
  DISABLE_VLAN_INSERTION_V2: 57,
  ENABLE_VLAN_FILTERING_V2: 58,
  DISABLE_VLAN_FILTERING_V2: 59,
  PTP_GET_CAPS: 60,
  PTP_GET_TIME: 61,
  GET_QOS_CAPS: 66,
  CONFIG_QUEUE_BW: 112,
  CONFIG_QUANTA: 113,
} as const;

export type VirtchnlOpcode = (typeof VIRTCHNL_OP)[keyof typeof VIRTCHNL_OP];

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(VIRTCHNL_OP).map(([name, value]) => [value, name]),
);

/** The operation's name, or `opcode <n>`. */
export function virtchnlName(opcode: number): string {
  return names.get(opcode) ?? `opcode ${opcode}`;
}

/** virtchnl status codes, carried in cookie low as a signed number. */
export const VIRTCHNL_STATUS = {
  SUCCESS: 0,
  PARAM: -5,
  NO_MEMORY: -18,
  OPCODE_MISMATCH: -38,
  CQP_COMPL_ERROR: -39,
  INVALID_VF_ID: -40,
  ADMIN_QUEUE_ERROR: -53,
  NOT_SUPPORTED: -64,
} as const;
