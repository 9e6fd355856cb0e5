import type { SwitchReport } from "@vfmig/core";
import { z } from "zod";
import type { StopWindow } from "../traffic/index.ts";

/** One entry of `switches` in a driver's status; times are of its clock, in milliseconds. */
const switchSchema = z.object({
  /** Counts up over the life of the device's process. */
  n: z.int(),
  pair: z.int(),
  kind: z.string(),
  outcome: z.string(),
  startedAt: z.number(),
  ms: z.number(),
});

type Switch = z.infer<typeof switchSchema>;

/** What drivers say of pairs that changed between their own rings and shadow ones, gathered over a run. */
export class SwitchWindows {
  readonly #found: (Switch & { readonly device: string })[] = [];
  /** By device: the number of the newest that is known. */
  readonly #newest = new Map<string, number>();

  /** Takes what is new in a driver's status; drivers keep only their last ones. */
  note(device: string, { switches }: Readonly<Record<string, unknown>>): void {
    const seen = this.#newest.get(device) ?? 0;
    const fresh = z
      .array(switchSchema)
      .parse(switches ?? [])
      .filter(({ n }) => n > seen);
    for (const entry of fresh) this.#found.push({ ...entry, device });
    this.#newest.set(device, Math.max(seen, ...fresh.map(({ n }) => n)));
  }

  get windows(): StopWindow[] {
    return this.#found.map(({ startedAt, ms }) => ({
      kind: "switch",
      fromMs: startedAt,
      toMs: startedAt + ms,
    }));
  }

  /** @param frames by window, in the order of {@link windows} */
  reports(frames: readonly number[]): SwitchReport[] {
    return this.#found.map(({ device, pair, kind, outcome, ms }, at) => ({
      device,
      queue: pair,
      kind: outcome === "done" ? kind : `${kind} ${outcome}`,
      ms,
      frames: frames[at] ?? 0,
    }));
  }
}
