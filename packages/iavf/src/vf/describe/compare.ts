import type { DeviceDescription, Incompatibility } from "@vfmig/core";
import { z } from "zod";
import { forbidden } from "./host-policy.ts";
import { offersSchema } from "./offers.ts";
import { lessThan } from "./requirements.ts";

/**
 * Why `target` cannot take what the guest uses on `source`; empty if it can. Pure. Core has compared
 * driver, device ids and state versions before.
 */
export function compare(
  source: DeviceDescription,
  target: DeviceDescription,
): readonly Incompatibility[] {
  return [...shape(source, target), ...uncarried(source), ...given(source.uses, target.offers)];
}

function shape(source: DeviceDescription, target: DeviceDescription): Incompatibility[] {
  const { bar0Size } = source.uses;
  if (bar0Size === target.offers["bar0Size"]) {
    return [];
  }
  return [
    {
      field: "bar0Size",
      source: bar0Size,
      target: target.offers["bar0Size"],
      reason: "BAR0 differs in size; a guest has mapped all of it",
    },
  ];
}

/** Features that the guest used and that this plugin cannot repeat elsewhere. */
function uncarried(source: DeviceDescription): Incompatibility[] {
  const names = z.array(z.string()).catch([]).parse(source.uses["uncarried"]);
  return names.map((name) => ({
    field: `uses.${name}`,
    source: true,
    target: false,
    reason: `the guest has used ${name}, which this plugin cannot carry; reload the guest's driver without it`,
  }));
}

function given(
  uses: DeviceDescription["uses"],
  targetOffers: DeviceDescription["offers"],
): readonly Incompatibility[] {
  const wanted = offersSchema.safeParse(uses);
  if (!wanted.success) {
    // A guest that has not asked its PF has been given nothing yet.
    return [];
  }
  const offered = offersSchema.safeParse(targetOffers);
  if (!offered.success) {
    return [
      {
        field: "offers",
        source: "described",
        target: "unknown",
        reason: "the target does not say what it offers; both hosts need the same plugin",
      },
    ];
  }
  return [...lessThan(wanted.data, offered.data), ...forbidden(uses, offered.data.policy)];
}
