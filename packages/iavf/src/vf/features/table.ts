import type { VfCapability } from "../../virtchnl/capabilities.ts";
import { VIRTCHNL_OP as OP } from "../../virtchnl/opcodes.ts";

/**
 * What becomes of a feature in a move:
 * - `carried`: the target has it as the source had it
 * - `lost`: not carried; an operator may accept that the guest loses it
 * - `refused`: not carried; a guest without it would break, so a guest that uses it stays
 * - `hidden`: not carried, and no guest may have it, since the device would act behind the plugin's back
 */
export type VfFeatureFate = "carried" | "lost" | "refused" | "hidden";

/** One thing that a guest can have of its PF. */
export interface VfFeature {
  readonly name: string;
  /** Capability bits of GET_VF_RESOURCES that grant it. */
  readonly capabilities: readonly VfCapability[];
  /** Its operations; a guest that had one of them granted uses the feature. */
  readonly operations: readonly number[];
  readonly fate: VfFeatureFate;
  /** For people: how it is carried, or why it is not. */
  readonly note: string;
}

/** Every feature of virtchnl that has a name. What has none is hidden. */
export const VF_FEATURES: readonly VfFeature[] = [
  {
    name: "session",
    capabilities: [],
    operations: [OP.VERSION, OP.RESET_VF, OP.GET_VF_RESOURCES],
    fate: "carried",
    note: "version and capabilities; the target's PF is asked for what the source's granted, and no more",
  },
  {
    name: "MAC filters and promiscuous modes",
    capabilities: ["L2"],
    operations: [OP.ADD_ETH_ADDR, OP.DEL_ETH_ADDR, OP.CONFIG_PROMISCUOUS_MODE],
    fate: "carried",
    note: "asked of the target's PF again; an address of its own that the guest does not use is deleted",
  },
  {
    name: "queues and vectors",
    capabilities: ["WB_ON_ITR", "RX_POLLING"],
    operations: [
      OP.CONFIG_VSI_QUEUES,
      OP.CONFIG_IRQ_MAP,
      OP.ENABLE_QUEUES,
      OP.DISABLE_QUEUES,
      OP.GET_STATS,
    ],
    fate: "carried",
    note: "up to 16 pairs, intervals, masks and causes; counters go on where they were",
  },
  {
    name: "more or fewer queue pairs (REQUEST_QUEUES)",
    capabilities: ["REQ_QUEUES"],
    operations: [OP.REQUEST_QUEUES],
    fate: "carried",
    note: "where the target's VF has fewer pairs, its PF is asked for as many, which resets that VF",
  },
  {
    name: "RSS through the PF",
    capabilities: ["RSS_PF", "RSS_PCTYPE_V2"],
    operations: [
      OP.CONFIG_RSS_KEY,
      OP.CONFIG_RSS_LUT,
      OP.GET_RSS_HENA_CAPS,
      OP.SET_RSS_HENA,
      OP.CONFIG_RSS_HFUNC,
    ],
    fate: "carried",
    note: "key, table, hash types and hash function",
  },
  {
    name: "RSS by registers",
    capabilities: ["RSS_REG"],
    operations: [],
    fate: "carried",
    note: "key, table and hash types are read from the VF and written on the target",
  },
  {
    name: "RSS by flow",
    capabilities: ["ADV_RSS_PF"],
    operations: [OP.ADD_RSS_CFG, OP.DEL_RSS_CFG],
    fate: "carried",
    note: "up to 64 kinds of flow, the last word on each; a guest that uses raw patterns stays",
  },
  {
    name: "VLANs (v1)",
    capabilities: ["VLAN"],
    operations: [OP.ADD_VLAN, OP.DEL_VLAN, OP.ENABLE_VLAN_STRIPPING, OP.DISABLE_VLAN_STRIPPING],
    fate: "carried",
    note: "filters and stripping; insertion needs no request",
  },
  {
    name: "VLANs (v2)",
    capabilities: ["VLAN_V2"],
    operations: [
      OP.GET_OFFLOAD_VLAN_V2_CAPS,
      OP.ADD_VLAN_V2,
      OP.DEL_VLAN_V2,
      OP.ENABLE_VLAN_STRIPPING_V2,
      OP.DISABLE_VLAN_STRIPPING_V2,
      OP.ENABLE_VLAN_INSERTION_V2,
      OP.DISABLE_VLAN_INSERTION_V2,
    ],
    fate: "carried",
    note: "filters, stripping and insertion of both tags; the target must offer at least as much",
  },
  {
    name: "VLAN filtering by switch (v2)",
    capabilities: [],
    operations: [OP.ENABLE_VLAN_FILTERING_V2, OP.DISABLE_VLAN_FILTERING_V2],
    fate: "refused",
    note: "no PF driver is known that takes these requests",
  },
  {
    name: "flexible Rx descriptors",
    capabilities: ["RX_FLEX_DESC"],
    operations: [OP.GET_SUPPORTED_RXDIDS],
    fate: "carried",
    note: "legacy and flexible NIC; other formats are not shown to the guest",
  },
  {
    name: "frames with their check sequence",
    capabilities: ["CRC"],
    operations: [],
    fate: "carried",
    note: "part of the queue configuration",
  },
  {
    name: "link speed in Mbit/s",
    capabilities: ["ADV_LINK_SPEED"],
    operations: [],
    fate: "carried",
    note: "the target's link is told after the move, in the form that the guest knows",
  },
  {
    name: "tunnels and UDP segmentation",
    capabilities: ["ENCAP", "ENCAP_CSUM", "RX_ENCAP_CSUM", "USO"],
    operations: [],
    fate: "carried",
    note: "stand in each descriptor; nothing is kept in the PF",
  },
  {
    name: "flow director",
    capabilities: ["FDIR_PF", "TC_U32"],
    operations: [OP.ADD_FDIR_FILTER, OP.DEL_FDIR_FILTER],
    fate: "lost",
    note: "rules are numbered by the source's PF; lost, their frames go where RSS sends them",
  },
  {
    name: "traffic classes (ADQ)",
    capabilities: ["ADQ", "ADQ_V2"],
    operations: [OP.ENABLE_CHANNELS, OP.DISABLE_CHANNELS],
    fate: "refused",
    note: "each class is a further VSI, whose queues a target would not have",
  },
  {
    name: "cloud filters",
    capabilities: ["ADQ", "ADQ_V2"],
    operations: [OP.ADD_CLOUD_FILTER, OP.DEL_CLOUD_FILTER],
    fate: "refused",
    note: "they lead into traffic classes",
  },
  {
    name: "flow subscription",
    capabilities: [],
    operations: [OP.FLOW_SUBSCRIBE, OP.FLOW_UNSUBSCRIBE],
    fate: "hidden",
    note: "its capability bit is not known for certain",
  },
  {
    name: "quality of service",
    capabilities: ["QOS"],
    operations: [OP.GET_QOS_CAPS, OP.CONFIG_QUEUE_TC_MAP],
    fate: "lost",
    note: "classes and their shares are the port's; lost, all queues share as by default",
  },
  {
    name: "queue bandwidth",
    capabilities: ["QOS"],
    operations: [OP.CONFIG_QUEUE_BW],
    fate: "lost",
    note: "lost, queues have no limits of their own",
  },
  {
    name: "quanta",
    capabilities: ["QOS"],
    operations: [OP.CONFIG_QUANTA],
    fate: "lost",
    note: "lost, the target's default quantum counts",
  },
  {
    name: "PTP",
    capabilities: ["PTP"],
    operations: [OP.PTP_GET_CAPS, OP.PTP_GET_TIME, 62, 63, 64, 65],
    fate: "lost",
    note: "another host has another clock; lost, Rx timestamps and the clock stand still",
  },
  {
    name: "RDMA",
    capabilities: ["RDMA"],
    operations: [OP.RDMA, OP.CONFIG_RDMA_IRQ_MAP, OP.RELEASE_RDMA_IRQ_MAP],
    fate: "hidden",
    note: "its queues write guest memory without anyone's knowing",
  },
  {
    name: "RSS through the admin queue",
    capabilities: ["RSS_AQ"],
    operations: [],
    fate: "hidden",
    note: "goes to the firmware, past the PF; every PF has another way",
  },
  {
    name: "more than 16 pairs and queue groups",
    capabilities: ["LARGE_NUM_QPAIRS", "QGRPS"],
    operations: [
      OP.GET_MAX_RSS_QREGION,
      OP.ENABLE_QUEUES_V2,
      OP.DISABLE_QUEUES_V2,
      OP.MAP_QUEUE_VECTOR,
    ],
    fate: "hidden",
    note: "their doorbells lie in pages that are not relayed",
  },
  {
    name: "queues configured by halves",
    capabilities: [],
    operations: [OP.CONFIG_TX_QUEUE, OP.CONFIG_RX_QUEUE],
    fate: "hidden",
    note: "no PF driver takes these requests any more",
  },
  {
    name: "inline IPsec",
    capabilities: ["INLINE_IPSEC"],
    operations: [OP.INLINE_IPSEC],
    fate: "hidden",
    note: "keys never leave the device",
  },
  {
    name: "device configuration function (DCF)",
    capabilities: ["DCF"],
    operations: [37, 38, 39, 40, 41, 42, 43],
    fate: "hidden",
    note: "gives a guest the host's switch",
  },
];
