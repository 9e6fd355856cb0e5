import type { Parts } from "../parts.ts";

/** What people and reports may know of shadow mode. */
export function shadowStatus({
  context,
  queues,
  shadow,
  doorbells,
}: Parts): Readonly<Record<string, unknown>> {
  return {
    shadow: context.options.shadow,
    handBack: context.options.handBack,
    doorbells: doorbells.status,
    open: shadow.reasons,
    modes: queues.pairs.map(({ queue, half }) => ({
      queue,
      tx: half.tx.mode,
      rx: half.rx.mode,
    })),
    stranded: shadow.stranded.status,
    switches: shadow.log.windows,
    switchTotals: shadow.log.totals,
  };
}
