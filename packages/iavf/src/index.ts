export * from "./admin-queue.ts";
export * from "./descriptors/ring-codecs.ts";
export * from "./descriptors/rx.ts";
export * from "./descriptors/rx-flex.ts";
export * from "./descriptors/tx.ts";
export * from "./interrupts/mailbox-vector.ts";
export * from "./interrupts/virtual-vector.ts";
export * from "./mailbox/conversation.ts";
export * from "./mailbox/conversation-state.ts";
export type { RssFlow, RssFlows } from "./mailbox/rss-flows.ts";
export type { Statistics } from "./mailbox/statistics.ts";
export type {
  VlanOffload,
  VlanOffloadKind,
  VlanSettings,
  VlanTagPlace,
} from "./mailbox/vlan-settings.ts";
export type { Reply, RequestOptions } from "./mailbox/in-flight.ts";
export * from "./mailbox/mailbox-relay.ts";
export type * from "./mailbox/options.ts";
export * from "./mailbox/mailbox-state.ts";
export type { ReceivedMessage, SendResult } from "./mailbox/private-mailbox.ts";
export type { GuestSend, VirtualMailbox, VirtualMailboxState } from "./mailbox/virtual-mailbox.ts";
export type { VirtualRingState } from "./mailbox/virtual-ring.ts";
export * from "./registers.ts";
export { baseRegisters, type RegisterAccess } from "@vfmig/core/toolkit";
export * from "./virtchnl/body.ts";
export * from "./virtchnl/capabilities.ts";
export * from "./virtchnl/events.ts";
export * from "./virtchnl/filters.ts";
export * from "./virtchnl/opcodes.ts";
export * from "./virtchnl/ptp.ts";
export * from "./virtchnl/qos.ts";
export * from "./virtchnl/queues.ts";
export * from "./virtchnl/rss.ts";
export * from "./virtchnl/rss-config.ts";
export * from "./virtchnl/rx-formats.ts";
export * from "./virtchnl/session.ts";
export * from "./virtchnl/statistics.ts";
export * from "./virtchnl/vlan-v2.ts";
export * from "./virtchnl/vsi-id.ts";
