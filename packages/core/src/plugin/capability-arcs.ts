import { requiredArcs } from "../migration/next-state.ts";
import type { Arc, MigrationCapabilities } from "../migration/states.ts";
import type { SubDriverCapabilities } from "../sub-driver/definition.ts";

export type MigrationCapability = NonNullable<SubDriverCapabilities["migration"]>[number];

function flagsOf(declared: readonly MigrationCapability[]): MigrationCapabilities {
  return { p2p: declared.includes("p2p"), preCopy: declared.includes("pre-copy") };
}

/** The arcs that a sub-driver which declares these capabilities has to give. */
export function declaredArcs(declared: readonly MigrationCapability[]): readonly Arc[] {
  return requiredArcs(flagsOf(declared));
}

/**
 * What would have to be declared for an arc to have a meaning; undefined where it has one already, or
 * is merely never walked (`running->stop` where P2P is declared).
 */
export function undeclaredCapability(
  arc: string,
  declared: readonly MigrationCapability[],
): MigrationCapability | "no such arc" | undefined {
  const { p2p, preCopy } = flagsOf(declared);
  if (!p2p && arc.includes("p2p")) return "p2p";
  if (!preCopy && arc.includes("pre-copy")) return "pre-copy";
  const known = [p2p, false].flatMap((flag) => requiredArcs({ p2p: flag, preCopy }));
  return known.some((name) => name === arc) ? undefined : "no such arc";
}
