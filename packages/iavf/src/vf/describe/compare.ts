import type { DeviceDescription, Incompatibility } from "@vfmig/core";
import { z } from "zod";
import { forbidden } from "./host-policy.ts";
import { offersSchema } from "./offers.ts";
import { lessThan } from "./requirements.ts";

/** Why `target` cannot take what the guest uses on `source`; empty if it can. Pure. */
export function compare(
  source: DeviceDescription,
  target: DeviceDescription,
): readonly Incompatibility[] {
  return [...identity(source, target), ...uncarried(source), ...given(source.uses, target.offers)];
}

function identity(source: DeviceDescription, target: DeviceDescription): Incompatibility[] {
  const found: Incompatibility[] = [];
  const differ = (field: string, a: unknown, b: unknown, reason: string): void => {
    if (a !== b) {
      found.push({ field, source: a, target: b, reason });
    }
  };
  differ(
    "driver.name",
    source.driver.name,
    target.driver.name,
    "the target runs another plugin; configure the same one on both hosts",
  );
  differ(
    "device",
    `${source.device.vendor.toString(16)}:${source.device.device.toString(16)}`,
    `${target.device.vendor.toString(16)}:${target.device.device.toString(16)}`,
    "the target is another device; a guest's driver would not know it",
  );
  differ(
    "bar0Size",
    source.uses["bar0Size"],
    target.offers["bar0Size"],
    "BAR0 differs in size; a guest has mapped all of it",
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
