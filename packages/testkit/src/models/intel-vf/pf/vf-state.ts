import { macFromString } from "@vfmig/iavf";
import { BROADCAST_MAC, macNumber, type ReceiveFilters } from "../filters.ts";
import type { VfModelOptions } from "../options.ts";

/** What the PF driver keeps of its VF. A reset builds it again; the pair count asked for survives. */
export class VfState {
  readonly options: VfModelOptions;
  /** GET_VF_RESOURCES has been answered since the last reset. */
  active = false;
  /** Minor protocol version that the VF told; 0 has no capability negotiation. */
  minor = 0;
  granted = 0;
  /** The primary address as a number; 0 while the guest has chosen none. Survives a reset. */
  mac = 0;
  /** The same as the VSI uses it: ice forgets it when the VF deletes it, until the next reset. */
  usedMac = 0;
  vlanCount = 0;
  queuePairs: number;
  requestedPairs: number;
  /** What REQUEST_QUEUES may get. */
  maxQueuePairs: number;
  linkUp: boolean;
  linkSpeed: number;
  replyDelayMs: number;

  constructor(options: VfModelOptions) {
    this.options = options;
    this.queuePairs = options.queuePairs;
    this.requestedPairs = options.queuePairs;
    this.maxQueuePairs = options.maxQueuePairs;
    this.linkUp = options.linkUp;
    this.linkSpeed = options.linkSpeed;
    this.replyDelayMs = options.pfReplyDelayMs;
    this.mac = macNumber(macFromString(options.mac), 0);
  }

  /** A fresh VSI: the primary address and broadcast, nothing else. */
  rebuild(filters: ReceiveFilters): void {
    this.active = false;
    this.granted = 0;
    this.vlanCount = 0;
    this.queuePairs = this.requestedPairs;
    this.usedMac = this.mac;
    filters.clear();
    filters.macs.add(BROADCAST_MAC);
    if (this.mac !== 0) filters.macs.add(this.mac);
  }
}

/** A MAC number as text. */
export function macText(mac: number): string {
  return (mac.toString(16).padStart(12, "0").match(/../gu) ?? []).join(":");
}
