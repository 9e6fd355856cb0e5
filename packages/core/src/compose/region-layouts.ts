import type { Clock } from "../clock.ts";
import { closedError } from "../device/closed-error.ts";
import type { DeviceInfo, MmapArea, RegionInfo } from "../device/info.ts";
import {
  MappingTracker,
  mappingConflict,
  place,
  type HeldArea,
} from "../device/mapping-tracker.ts";
import { pagesOf } from "../device/mmap-areas.ts";
import { overlap, unionOf, withoutRanges } from "../device/stretches.ts";
import type { MappingNote } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { RegionRange } from "../sub-driver/facets.ts";
import type { LayoutIrq } from "./layout-irq.ts";
import { differWhileSaving, narrow, type Layouts } from "./layouts.ts";
import type { PluginGuard } from "./plugin-guard.ts";
import type { RegionRouter } from "./region-router.ts";
import { areRanges } from "./trapped-ranges.ts";

export interface RegionLayoutsParts {
  /** With every irq index, and the regions that `layouts` replace. */
  readonly info: DeviceInfo;
  readonly layouts: Layouts;
  readonly routers: readonly (RegionRouter | undefined)[];
  /** Undefined where no layout ever changes. */
  readonly irq: LayoutIrq | undefined;
  readonly guard: PluginGuard;
  readonly clock: Clock;
  /** How long users have to let go of what is trapped, in milliseconds. */
  readonly limitMs: number;
}

/** Ranges whose users are asked to let go. */
interface PendingTrap {
  readonly index: number;
  readonly ranges: readonly RegionRange[];
  readonly end: (reason: unknown) => void;
}

/** Why the narrower layout is in force: a saving session, a log of writes, or both. */
type Narrowing = "session" | "logging";

/** Which areas of a composed device's regions can be mapped now, by whom they are, and what is trapped. */
export class RegionLayouts {
  readonly #parts: RegionLayoutsParts;
  readonly #mappings = new MappingTracker();
  readonly #narrowings = new Set<Narrowing>();
  /** Ranges that the sub-driver has trapped at run time, by region. */
  readonly #trapped = new Map<number, readonly RegionRange[]>();
  readonly #pending = new Set<PendingTrap>();
  #runtime: DeviceInfo;
  #saving: DeviceInfo;

  constructor(parts: RegionLayoutsParts) {
    const { info, layouts } = parts;
    this.#parts = parts;
    this.#runtime = { ...info, regions: layouts.runtime };
    this.#saving = this.#savingOf(layouts);
    for (const [index, router] of parts.routers.entries()) {
      const { startsTrapped } = router?.facet ?? {};
      if (startsTrapped !== undefined) this.#setTrapped(index, [...startsTrapped]);
    }
  }

  /** The device with the layout in force; the same object until that changes. */
  get info(): DeviceInfo {
    return this.#narrowings.size > 0 ? this.#saving : this.#runtime;
  }

  /** @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` */
  note(index: number, area: MmapArea, holder?: string): Required<MappingNote> {
    return this.#mappings.note(this.info.regions, index, area, holder);
  }

  /**
   * From here on no area is handed out that the saving layout does not have. What users are just asked to
   * let go of is for whoever asked them, and does not count.
   * @param what - what is refused otherwise, for the message
   * @throws VfmigError `ERR_VFMIG_MAPPING_CONFLICT`
   */
  enter(narrowing: Narrowing, what: string): void {
    this.#mappings.refuseConflicts(this.#savingWithoutPending(), what);
    this.#change(() => this.#narrowings.add(narrowing));
  }

  leave(narrowing: Narrowing): void {
    this.#change(() => this.#narrowings.delete(narrowing));
  }

  /** As {@link SubDriverContext.regions} has it. */
  async trap(index: number, ranges: readonly RegionRange[], signal?: AbortSignal): Promise<void> {
    const asked = this.#checked("trap", index, ranges);
    signal?.throwIfAborted();
    const before = this.#trapped.get(index) ?? [];
    const fresh = withoutRanges(asked, before);
    const held = this.#mappings.holding(index, pagesOf(fresh));
    if (held !== undefined && this.#parts.irq?.listening !== true) {
      // A request that nobody hears would only let the time run out.
      throw mappingConflict(
        held,
        `trap ${describe(index, asked)} (no user listens for new layouts)`,
      );
    }
    this.#setTrapped(index, unionOf(before, fresh));
    if (held === undefined) return;
    try {
      await this.#released(index, fresh, signal);
    } catch (error) {
      this.#setTrapped(index, withoutRanges(this.#trapped.get(index) ?? [], fresh));
      throw error;
    }
  }

  /** As {@link SubDriverContext.regions} has it. */
  untrap(index: number, ranges: readonly RegionRange[]): void {
    const asked = this.#checked("untrap", index, ranges);
    const trapped = this.#trapped.get(index) ?? [];
    const foreign = withoutRanges(asked, trapped)[0];
    if (foreign !== undefined) {
      throw this.#refuse("untrap", index, asked, `${place(foreign)} was not trapped at run time`);
    }
    this.#setTrapped(index, withoutRanges(trapped, asked));
  }

  /** Ends whatever waits for users. */
  close(): void {
    for (const { end } of this.#pending) end(closedError());
    this.#parts.irq?.close();
  }

  #savingWithoutPending(): readonly RegionInfo[] {
    if (this.#pending.size === 0) return this.#saving.regions;
    const trapped = new Map(this.#trapped);
    for (const { index, ranges } of this.#pending) {
      trapped.set(index, withoutRanges(trapped.get(index) ?? [], ranges));
    }
    return narrow(this.#parts.layouts, trapped).saving;
  }

  /** Settles when nobody maps a page of `ranges` any more. */
  async #released(
    index: number,
    ranges: readonly RegionRange[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { clock, limitMs } = this.#parts;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pages = pagesOf(ranges);
    const look = (): HeldArea | undefined => {
      const held = this.#mappings.holding(index, pages);
      if (held === undefined) resolve();
      return held;
    };
    const pending: PendingTrap = { index, ranges, end: reject };
    const abort = (): void => reject(signal?.reason);
    const timer = clock.after(limitMs, () => {
      const held = look();
      if (held !== undefined) reject(late(index, ranges, held, limitMs));
    });
    const stop = this.#mappings.onRelease(() => void look());
    signal?.addEventListener("abort", abort, { once: true });
    this.#pending.add(pending);
    try {
      look();
      await promise;
    } finally {
      this.#pending.delete(pending);
      signal?.removeEventListener("abort", abort);
      stop();
      timer.cancel();
    }
  }

  #setTrapped(index: number, ranges: readonly RegionRange[]): void {
    const { routers, layouts, info } = this.#parts;
    routers[index]?.trapAlso(ranges);
    this.#trapped.set(index, ranges);
    const narrowed = narrow(layouts, this.#trapped);
    this.#change(() => {
      this.#runtime = { ...info, regions: narrowed.runtime };
      this.#saving = this.#savingOf(narrowed);
    });
  }

  /** The runtime layout itself where saving changes nothing, so that no user is told of it. */
  #savingOf(layouts: Layouts): DeviceInfo {
    if (!differWhileSaving(layouts)) return this.#runtime;
    return { ...this.#parts.info, regions: layouts.saving };
  }

  /** Users are asked to look again when something that they see has become another. */
  #change(change: () => void): void {
    const before = this.info;
    change();
    if (this.info !== before) this.#parts.irq?.signal();
  }

  #checked(what: "trap" | "untrap", index: number, ranges: readonly RegionRange[]): RegionRange[] {
    const router = this.#parts.routers[index];
    const region = this.#runtime.regions[index];
    const why =
      router === undefined || region === undefined
        ? "it has no facet for that region"
        : router.facet.adjustable !== true
          ? "its facet does not say that it is adjustable"
          : !areRanges(ranges, region.size)
            ? `sorted, separate ranges inside ${region.size} bytes are wanted`
            : this.#pending.size > 0 && this.#isPending(index, ranges)
              ? "users are still asked to let go of some of it"
              : undefined;
    if (why !== undefined) throw this.#refuse(what, index, ranges, why);
    return ranges.map(({ offset, size }) => ({ offset, size }));
  }

  #isPending(index: number, ranges: readonly RegionRange[]): boolean {
    for (const pending of this.#pending) {
      if (pending.index === index && overlap(pending.ranges, ranges)) return true;
    }
    return false;
  }

  #refuse(what: string, index: number, ranges: unknown, why: string): VfmigError {
    const { layer } = this.#parts.guard;
    return new VfmigError(
      "ERR_VFMIG_TRAP_REQUEST",
      `${layer} cannot ${what} ${describe(index, ranges)}: ${why}. Nothing was changed.`,
      { layer, details: { region: index, errno: "EINVAL" } },
    );
  }
}

function describe(index: number, ranges: unknown): string {
  const list = Array.isArray(ranges) ? (ranges as readonly Partial<RegionRange>[]) : [];
  const places = list
    .slice(0, 4)
    .map((range) => place({ offset: Number(range?.offset), size: Number(range?.size) }));
  const more = list.length > places.length ? ", ..." : "";
  return `${places.join(", ")}${more} of region ${String(index)}`;
}

function late(
  index: number,
  ranges: readonly RegionRange[],
  { area, holder }: HeldArea,
  limitMs: number,
): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_TRAP_TIMEOUT",
    `Could not trap ${describe(index, ranges)}: ${holder} was asked to fetch the layout again, and ` +
      `after ${limitMs} ms it still maps ${place(area)}. Accesses there go to the base as before.`,
    { layer: "core", details: { region: index, area, holder, limitMs, errno: "ETIMEDOUT" } },
  );
}
