import { readFileSync } from "node:fs";
import { z } from "zod";
import { planMixedTraffic } from "./mixed-plan.ts";
import { readPcap } from "./pcap.ts";
import { planTraffic, type TrafficPlan } from "./traffic-plan.ts";

/** Where a run's frames come from. */
export type TrafficChoice =
  | { readonly kind: "pcap"; readonly capture: string }
  | { readonly kind: "mixed"; readonly seed: number };

export const trafficChoiceSchema: z.ZodType<TrafficChoice> = z.discriminatedUnion("kind", [
  /** A capture's path. */
  z.strictObject({ kind: z.literal("pcap"), capture: z.string().min(1) }),
  z.strictObject({ kind: z.literal("mixed"), seed: z.int().min(0).max(0xffff_ffff) }),
]);

/**
 * The plan that every process of a run makes for itself, alike from the same choice.
 * @throws VfmigError `ERR_VFMIG_TRAFFIC_CAPTURE`, `ERR_VFMIG_MAC_ADDRESS`; what reading the file throws
 */
export function openTraffic(choice: TrafficChoice, guestMac: string): TrafficPlan {
  if (choice.kind === "mixed") return planMixedTraffic(guestMac, choice.seed);
  return planTraffic(readPcap(readFileSync(choice.capture)), guestMac);
}
