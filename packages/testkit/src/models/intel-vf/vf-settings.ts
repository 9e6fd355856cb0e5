import { macText } from "./pf/vf-state.ts";
import type { ReceiveFilters } from "./filters.ts";
import type { RssSettings } from "./rss.ts";
import type { VfFunction } from "./vf-function.ts";

/** One half of a queue pair, as far as its PF has set it up. */
export interface QueueSettings {
  readonly enabled: boolean;
  readonly vector: number;
  readonly itr: number;
}

/** What a PF has set up for its VF, as plain data: equal on two hosts that treat a guest alike. */
export interface VfSettings {
  readonly active: boolean;
  /** Capability bits that were granted. */
  readonly granted: number;
  readonly queuePairs: number;
  readonly macs: readonly string[];
  /** Ethertype and id of each VLAN, as one number. */
  readonly vlans: readonly number[];
  readonly filters: Omit<ReceiveFilters, "macs" | "vlans" | "accepts" | "sends" | "clear">;
  readonly rss: RssSettings;
  readonly tx: readonly QueueSettings[];
  readonly rx: readonly (QueueSettings & { readonly keepsCrc: boolean })[];
}

export function settingsOf(unit: VfFunction): VfSettings {
  const { state, filters, rss, receiver, transmitter } = unit;
  const { macs, vlans, ...rest } = filters;
  const queue = ({ enabled, vector, itr }: QueueSettings): QueueSettings => ({
    enabled,
    vector,
    itr,
  });
  return {
    active: state.active,
    granted: state.granted,
    queuePairs: state.queuePairs,
    macs: Array.from(macs, (mac) => macText(mac)).toSorted(),
    vlans: [...vlans].toSorted((a, b) => a - b),
    filters: rest,
    rss: rss.settings,
    tx: transmitter.queues.map((it) => queue(it)),
    rx: receiver.queues.map((it) => ({ ...queue(it), keepsCrc: it.keepsCrc })),
  };
}
