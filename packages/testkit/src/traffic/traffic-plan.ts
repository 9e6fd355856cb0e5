import { VfmigError } from "@vfmig/core";
import { formatMac, MAX_FRAME, isFrom, parseMac } from "./ethernet.ts";
import { flowName } from "./flow-name.ts";
import { LINKTYPE_ETHERNET, type Pcap } from "./pcap.ts";
import { MAX_FLOWS } from "./trailer.ts";

/** One frame of a plan. */
export interface PlannedFrame {
  /** The frame as captured; a view. */
  readonly bytes: Uint8Array;
  /** Number of its flow, an index into {@link TrafficPlan.flows}. */
  readonly flow: number;
}

/** A capture, split between the guest and the rest of the world. */
export interface TrafficPlan {
  readonly guestMac: string;
  /** Names by flow number. Every process that reads the same capture numbers alike. */
  readonly flows: readonly string[];
  /** What arrives on the wire, in the capture's order. */
  readonly toGuest: readonly PlannedFrame[];
  /** What the guest sends, in the capture's order. */
  readonly fromGuest: readonly PlannedFrame[];
  /** Multicast addresses other than broadcast to which frames for the guest go: its filters. */
  readonly multicast: readonly string[];
  /** VLAN ids under which frames go: the guest's filters. */
  readonly vlans: readonly number[];
  /** What the guest's MTU has to be, in bytes. */
  readonly mtu: number;
  /** Bytes of its longest frame, before it is marked. */
  readonly longest: number;
}

/**
 * Splits a capture by source address: frames of `guestMac` are those that the guest sends, all
 * others arrive on the wire.
 * @param guestMac such as `02:00:00:00:00:0a`
 * @throws VfmigError `ERR_VFMIG_TRAFFIC_CAPTURE`, `ERR_VFMIG_MAC_ADDRESS`
 */
export function planTraffic(capture: Pcap, guestMac: string): TrafficPlan {
  if (capture.linkType !== LINKTYPE_ETHERNET) {
    throw unusable(`its link type is ${capture.linkType}, not Ethernet (1)`);
  }
  const mac = parseMac(guestMac);
  const numbers = new Map<string, number>();
  const multicast = new Set<string>();
  const toGuest: PlannedFrame[] = [];
  const fromGuest: PlannedFrame[] = [];
  for (const [index, { bytes, originalLength }] of capture.frames.entries()) {
    if (bytes.length < originalLength) throw unusable(`frame ${index} was cut when captured`);
    if (bytes.length < 14) throw unusable(`frame ${index} has no Ethernet header`);
    const name = flowName(bytes);
    const flow = numbers.get(name) ?? numbers.size;
    numbers.set(name, flow);
    if (isFrom(bytes, mac)) {
      fromGuest.push({ bytes, flow });
    } else {
      toGuest.push({ bytes, flow });
      if (((bytes[0] ?? 0) & 1) === 1) multicast.add(formatMac(bytes));
    }
  }
  if (numbers.size > MAX_FLOWS) throw unusable(`it has more than ${MAX_FLOWS} flows`);
  if (toGuest.length === 0 || fromGuest.length === 0) {
    throw unusable(`it lacks frames from ${guestMac} or frames from others`);
  }
  multicast.delete("ff:ff:ff:ff:ff:ff");
  return {
    guestMac,
    flows: [...numbers.keys()],
    toGuest,
    fromGuest,
    multicast: [...multicast],
    vlans: [],
    mtu: 1500,
    longest: MAX_FRAME,
  };
}

function unusable(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_TRAFFIC_CAPTURE",
    `the capture cannot be played: ${why}; give an uncut capture of both hosts and one of their MACs`,
    { layer: "testkit" },
  );
}
