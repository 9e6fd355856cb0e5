import { VF_CAP } from "../../virtchnl/capabilities.ts";
import { virtchnlName } from "../../virtchnl/opcodes.ts";
import { VF_FEATURES, type VfFeature } from "./table.ts";

/**
 * What a guest gets of features that cannot be carried. `hide`: it never learns of them. `refuse`: it
 * gets them, and a guest that has used one is not moved. `allow`: as `refuse`, but what a guest can do
 * without is lost in a move.
 */
export type UncarriedPolicy = "hide" | "refuse" | "allow";

/** What a guest uses that is not carried, by name. */
export interface UncarriedUse {
  /** Reasons to stay. */
  readonly refused: readonly string[];
  /** What the operator has agreed to lose. */
  readonly lost: readonly string[];
}

/** Capability bits that a guest may ask for and see. */
export function shownCaps(policy: UncarriedPolicy): number {
  return VF_FEATURES.filter((feature) => isShown(feature, policy))
    .flatMap(({ capabilities }) => capabilities)
    .reduce((bits, name) => (bits | VF_CAP[name]) >>> 0, 0);
}

function isShown({ fate }: VfFeature, policy: UncarriedPolicy): boolean {
  return fate === "carried" || (policy !== "hide" && fate !== "hidden");
}

const byOperation: ReadonlyMap<number, VfFeature> = new Map(
  VF_FEATURES.flatMap((feature) => feature.operations.map((opcode) => [opcode, feature] as const)),
);

/**
 * Why a guest may not ask this of its PF; undefined where it may. Operations that nobody knows are
 * hidden with those that cannot be carried.
 */
export function hiddenOperation(opcode: number, policy: UncarriedPolicy): string | undefined {
  const feature = byOperation.get(opcode);
  if (feature === undefined) {
    return policy === "hide" ? "nobody knows what it would leave behind in a move" : undefined;
  }
  return isShown(feature, policy) ? undefined : `${feature.name}: ${feature.note}`;
}

/** Names what `opcodes`, which a PF granted and nobody here can repeat, mean to a move. */
export function uncarriedUse(opcodes: Iterable<number>, policy: UncarriedPolicy): UncarriedUse {
  const refused = new Set<string>();
  const lost = new Set<string>();
  for (const opcode of opcodes) {
    const feature = byOperation.get(opcode);
    const accepted = policy === "allow" && feature?.fate === "lost";
    const name = virtchnlName(opcode);
    (accepted ? lost : refused).add(feature === undefined ? name : `${feature.name} (${name})`);
  }
  return { refused: [...refused], lost: [...lost] };
}
