import type { Parts } from "../parts.ts";

/** What people and reports may know of whose rings the device works on. */
export function shadowStatus({ context, shadow }: Parts): Readonly<Record<string, unknown>> {
  const { options } = context;
  return {
    shadow: options.shadow,
    doorbells: options.doorbells,
    handBack: options.handBack,
    open: shadow.reasons,
    modes: [{ queue: 0, tx: shadow.mode, rx: shadow.mode }],
    switches: shadow.log.windows,
    switchTotals: shadow.log.totals,
  };
}
