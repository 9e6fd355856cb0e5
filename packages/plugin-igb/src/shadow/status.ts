import type { Parts } from "../parts.ts";
import { mappablePages } from "./pages.ts";

/** How a guest rings its queues, for people and reports. */
export interface DoorbellStatus {
  /** The option. */
  readonly wanted: "trapped" | "direct";
  /** `direct`: a user may map the guest's own pages. */
  readonly now: "trapped" | "direct";
  /** Why they are what they are. */
  readonly why: string;
}

/** What people and reports may know of whose rings the device works on. */
export function shadowStatus(parts: Parts): Readonly<Record<string, unknown>> {
  const { context, shadow } = parts;
  const { options } = context;
  const obstacle = whyTrapped(parts);
  const doorbells: DoorbellStatus = {
    wanted: options.doorbells,
    now: obstacle === undefined ? "direct" : "trapped",
    why: obstacle ?? "the guest has its queues and their registers to itself",
  };
  return {
    shadow: options.shadow,
    doorbells,
    handBack: options.handBack,
    open: shadow.reasons,
    modes: [{ queue: 0, tx: shadow.mode, rx: shadow.mode }],
    switches: shadow.log.windows,
    switchTotals: shadow.log.totals,
  };
}

function whyTrapped({ context, shadow }: Parts): string | undefined {
  if (context.options.doorbells === "trapped") return 'the option doorbells is "trapped"';
  if (mappablePages(context.base.info).length === 0) {
    return "the base lets nobody map the pages of BAR0 that hold the queues' registers";
  }
  if (shadow.mode === "direct") return undefined;
  if (shadow.wanted) return "the device is being logged, saved or restored";
  return context.options.handBack
    ? "the queues are not on the guest's own rings yet"
    : "the queues are relayed, and the option handBack is off";
}
