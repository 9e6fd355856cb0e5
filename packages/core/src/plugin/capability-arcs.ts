import type { Arc } from "../migration/states.ts";
import type { SubDriverCapabilities } from "../sub-driver/definition.ts";

export type MigrationCapability = NonNullable<SubDriverCapabilities["migration"]>[number];

interface ArcRule {
  readonly p2p?: boolean;
  readonly preCopy?: boolean;
}

/**
 * When the kernel's protocol v2 has an arc: an absent flag does not matter. Sums to 6, 8, 9 and 15 arcs
 * (`drivers/vfio/vfio_main.c`, `vfio_mig_get_next_state`).
 */
const RULES: Readonly<Record<Arc, ArcRule>> = {
  "running->stop": { p2p: false },
  "stop->running": { p2p: false },
  "running->running-p2p": { p2p: true },
  "running-p2p->running": { p2p: true },
  "running-p2p->stop": { p2p: true },
  "stop->running-p2p": { p2p: true },
  "stop->stop-copy": {},
  "stop-copy->stop": {},
  "stop->resuming": {},
  "resuming->stop": {},
  "running->pre-copy": { preCopy: true },
  "pre-copy->running": { preCopy: true },
  "pre-copy->stop-copy": { p2p: false, preCopy: true },
  "pre-copy->pre-copy-p2p": { p2p: true, preCopy: true },
  "pre-copy-p2p->pre-copy": { p2p: true, preCopy: true },
  "running-p2p->pre-copy-p2p": { p2p: true, preCopy: true },
  "pre-copy-p2p->running-p2p": { p2p: true, preCopy: true },
  "pre-copy-p2p->stop-copy": { p2p: true, preCopy: true },
};

function isArc(name: string): name is Arc {
  return Object.hasOwn(RULES, name);
}

/** The arcs that a sub-driver with these migration capabilities has to implement. */
export function requiredArcs(capabilities: readonly MigrationCapability[]): readonly Arc[] {
  const p2p = capabilities.includes("p2p");
  const preCopy = capabilities.includes("pre-copy");
  return Object.keys(RULES)
    .filter(isArc)
    .filter((arc) => {
      const rule = RULES[arc];
      return (rule.p2p ?? p2p) === p2p && (rule.preCopy ?? preCopy) === preCopy;
    });
}

/** The capability, of those not declared, without which an arc has no meaning; undefined if none. */
export function undeclaredCapability(
  arc: string,
  declared: readonly MigrationCapability[],
): MigrationCapability | "migration arc" | undefined {
  if (!isArc(arc)) return "migration arc";
  const rule = RULES[arc];
  if (rule.p2p === true && !declared.includes("p2p")) return "p2p";
  return rule.preCopy === true && !declared.includes("pre-copy") ? "pre-copy" : undefined;
}
