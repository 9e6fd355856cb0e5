import type { DeviceDescription, Incompatibility } from "@vfmig/core";
import { z } from "zod";

const addressSchema = z.object({ assigned: z.string().nullable(), changeable: z.boolean() });
const namesSchema = z.array(z.string()).catch([]);

/** Why `target` cannot take what the guest uses on `source`; empty if it can. Pure. */
export function compare(
  source: DeviceDescription,
  target: DeviceDescription,
): readonly Incompatibility[] {
  return [...identity(source, target), ...uncarried(source), ...address(source, target)];
}

function identity(source: DeviceDescription, target: DeviceDescription): Incompatibility[] {
  const found: Incompatibility[] = [];
  const differ = (field: string, a: unknown, b: unknown, reason: string): void => {
    if (a !== b) found.push({ field, source: a, target: b, reason });
  };
  differ(
    "driver.name",
    source.driver.name,
    target.driver.name,
    "the target runs another plugin; configure the same one on both hosts",
  );
  differ(
    "device",
    idOf(source),
    idOf(target),
    "the target is another device; a guest's driver would not know it",
  );
  differ(
    "bar0Size",
    source.uses["bar0Size"],
    target.offers["bar0Size"],
    "BAR0 differs in size; a guest has mapped all of it",
  );
  differ(
    "vectors",
    source.uses["vectors"],
    target.offers["vectors"],
    "the number of MSI-X vectors differs; a guest has seen the table",
  );
  if (!target.state.reads.includes(source.state.version)) {
    found.push({
      field: "state.version",
      source: source.state.version,
      target: target.state.reads,
      reason: "the target's plugin cannot read this state; upgrade it first",
    });
  }
  return found;
}

function idOf({ device: { vendor, device } }: DeviceDescription): string {
  return `${vendor.toString(16)}:${device.toString(16)}`;
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
