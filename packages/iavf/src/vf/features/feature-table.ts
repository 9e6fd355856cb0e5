import { VF_CAP } from "../../virtchnl/capabilities.ts";
import type { VfFamily } from "../family.ts";
import { VF_FEATURES, type VfFeature } from "./table.ts";

/** What the words of the column "by default" mean, for the page that the table stands on. */
const FATES: Readonly<Record<VfFeature["fate"], readonly [byDefault: string, otherwise: string]>> =
  {
    carried: ["carried", ""],
    lost: ["hidden", "refused when used, or lost"],
    refused: ["hidden", "refused when used"],
    hidden: ["hidden", "hidden"],
  };

/**
 * The table of a plugin's README: each feature, what becomes of it by default, and with the option
 * `uncarried` at `refuse` or `allow`.
 */
export function featureTable(family: VfFamily): string {
  const rows = VF_FEATURES.map((feature) => {
    const [byDefault, otherwise] = FATES[feature.fate];
    const note = isNeverGranted(feature, family)
      ? `not granted by this PF; ${feature.note}`
      : feature.note;
    return `| ${feature.name} | ${byDefault} | ${otherwise} | ${note} |`;
  });
  return [
    "| Feature | By default | With `refuse`, or `allow` | How, or why not |",
    "|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function isNeverGranted({ capabilities }: VfFeature, family: VfFamily): boolean {
  return (
    capabilities.length > 0 &&
    capabilities.every((name) => (VF_CAP[name] & family.neverGranted) !== 0)
  );
}
