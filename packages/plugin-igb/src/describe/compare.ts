import type { DeviceDescription, Incompatibility } from "@vfmig/core";
import { z } from "zod";

const addressSchema = z.object({ assigned: z.string().nullable(), changeable: z.boolean() });
const namesSchema = z.array(z.string()).catch([]);

/**
 * Why `target` cannot take what the guest uses on `source`; empty if it can. Pure. Core has compared
 * driver, device ids and state versions before.
 */
export function compare(
  source: DeviceDescription,
  target: DeviceDescription,
): readonly Incompatibility[] {
  return [
    ...shape(source, target),
    ...uncarried(source),
    ...queues(source),
    ...address(source, target),
  ];
}

function shape(source: DeviceDescription, target: DeviceDescription): Incompatibility[] {
  return [
    { field: "bar0Size", reason: "BAR0 differs in size; a guest has mapped all of it" },
    { field: "vectors", reason: "the number of MSI-X vectors differs; a guest has seen the table" },
  ].flatMap(({ field, reason }) => {
    const [uses, offers] = [source.uses[field], target.offers[field]];
    return uses === offers ? [] : [{ field, source: uses, target: offers, reason }];
  });
}

/** Operations that the guest used and that this plugin cannot repeat elsewhere. */
function uncarried(source: DeviceDescription): Incompatibility[] {
  return namesSchema.parse(source.uses["uncarried"]).map((name) => ({
    field: `uses.${name}`,
    source: true,
    target: false,
    reason: `the guest has used ${name}, which this plugin cannot carry; reset the VF in the guest`,
  }));
}

/** Queues that the guest has to itself have to be such that they can be relayed. */
function queues({ uses: { doubt } }: DeviceDescription): Incompatibility[] {
  if (typeof doubt !== "string") return [];
  return [
    {
      field: "queues",
      source: doubt,
      target: null,
      reason: `the guest's queues cannot be relayed, so that its VF cannot be saved: ${doubt}`,
    },
  ];
}

/** The guest's address has to be one that the target's VF may have. */
function address(source: DeviceDescription, target: DeviceDescription): Incompatibility[] {
  const { mac } = source.uses;
  if (typeof mac !== "string") return [];
  const policy = addressSchema.safeParse(target.offers["address"]);
  if (!policy.success) {
    return [
      {
        field: "mac",
        source: mac,
        target: "unknown",
        reason: "a guest already uses the target's VF; reset it, or choose another",
      },
    ];
  }
  const { assigned, changeable } = policy.data;
  if (changeable || assigned === mac) return [];
  return [
    {
      field: "mac",
      source: mac,
      target: assigned,
      reason: `the target's administrator has given its VF the address ${assigned ?? ""} and does not trust it, so that it cannot take ${mac}; set that address there (ip link set PF vf N mac ${mac}) or trust the VF (ip link set PF vf N trust on)`,
    },
  ];
}
