import type { RegionInfo } from "../device/info.ts";
import { withoutRanges } from "../device/stretches.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import type { RegionFacet, RegionRange } from "../sub-driver/facets.ts";
import { Doorbells } from "./doorbells.ts";
import { baseError, type PluginGuard } from "./plugin-guard.ts";
import { areRanges, TrappedRanges } from "./trapped-ranges.ts";

/**
 * Sends the accesses of one region to the sub-driver or to the base. Allocates nothing, but for an
 * access that really straddles a border and has to be split.
 */
export class RegionRouter {
  readonly facet: RegionFacet;
  readonly #region: RegionInfo;
  readonly #base: VfioDevice;
  readonly #guard: PluginGuard;
  readonly #doorbells: Doorbells;
  #seen: readonly RegionRange[];
  #trapped: TrappedRanges;
  /** Ranges that are trapped beside the facet's own. */
  #added: readonly RegionRange[] = [];
  #holding = false;

  constructor(facet: RegionFacet, region: RegionInfo, base: VfioDevice, guard: PluginGuard) {
    this.facet = facet;
    this.#region = region;
    this.#base = base;
    this.#guard = guard;
    this.#doorbells = new Doorbells(facet.doorbells ?? []);
    this.#seen = facet.trapped;
    this.#trapped = this.#parse(facet.trapped);
  }

  /** The range and the rights of the access are checked already. */
  read(offset: number, into: Uint8Array): void {
    const trapped = this.#ranges();
    const end = offset + into.length;
    if (trapped.borderAfter(offset) >= end) return this.#readOne(trapped, offset, into);
    for (let at = offset; at < end;) {
      const stop = Math.min(end, trapped.borderAfter(at));
      this.#readOne(trapped, at, into.subarray(at - offset, stop - offset));
      at = stop;
    }
  }

  /** As {@link RegionRouter.read}; a doorbell's write waits while an arc runs. */
  write(offset: number, from: Uint8Array): void {
    const trapped = this.#ranges();
    const end = offset + from.length;
    if (trapped.borderAfter(offset) >= end) return this.#writeOne(trapped, offset, from);
    for (let at = offset; at < end;) {
      const stop = Math.min(end, trapped.borderAfter(at));
      this.#writeOne(trapped, at, from.subarray(at - offset, stop - offset));
      at = stop;
    }
  }

  /** Traps these ranges beside the facet's own, from the next access on, and no others. */
  trapAlso(ranges: readonly RegionRange[]): void {
    const trapped = this.#facetRanges();
    const before = this.#added;
    this.#added = ranges;
    try {
      this.#trapped = this.#parse(trapped);
      this.#seen = trapped;
    } catch (error) {
      this.#added = before;
      throw error;
    }
  }

  /** From now on doorbells are kept. */
  hold(): void {
    this.#holding = true;
  }

  /** Applies what was kept; `onError` gets what the sub-driver throws, since no guest waits for it. */
  release(onError: (error: unknown) => void): void {
    this.#holding = false;
    this.#doorbells.apply((offset, from) => {
      try {
        this.write(offset, from);
      } catch (error) {
        onError(error);
      }
    });
  }

  /** Forgets what was kept. */
  drop(): void {
    this.#holding = false;
    this.#doorbells.drop();
  }

  #readOne(trapped: TrappedRanges, offset: number, into: Uint8Array): void {
    const index = this.#region.index;
    if (trapped.at(offset) < 0) {
      try {
        this.#base.readRegion(index, offset, into);
      } catch (error) {
        throw baseError(`a read of region ${index} at offset ${offset}`, error);
      }
      return;
    }
    try {
      this.facet.read(offset, into);
    } catch (error) {
      throw this.#guard.named(`a read of region ${index} at offset ${offset}`, error);
    }
  }

  #writeOne(trapped: TrappedRanges, offset: number, from: Uint8Array): void {
    const index = this.#region.index;
    if (trapped.at(offset) < 0) {
      try {
        this.#base.writeRegion(index, offset, from);
      } catch (error) {
        throw baseError(`a write of region ${index} at offset ${offset}`, error);
      }
      return;
    }
    if (this.#holding) return this.#writeHeld(offset, from);
    this.#writePlugin(offset, from);
  }

  #writePlugin(offset: number, from: Uint8Array): void {
    try {
      this.facet.write(offset, from);
    } catch (error) {
      throw this.#guard.named(`a write of region ${this.#region.index} at offset ${offset}`, error);
    }
  }

  #writeHeld(offset: number, from: Uint8Array): void {
    const end = offset + from.length;
    const whole = this.#doorbells.rangeOf(offset, from.length);
    if (whole >= 0) return this.#doorbells.keep(whole, offset, from);
    for (let at = offset; at < end;) {
      const stop = this.#doorbells.borderAfter(at, end);
      const part = stop - at === from.length ? from : from.subarray(at - offset, stop - offset);
      const range = this.#doorbells.rangeOf(at, part.length);
      if (range >= 0) this.#doorbells.keep(range, at, part);
      else this.#writePlugin(at, part);
      at = stop;
    }
  }

  /** A facet may replace its array at run time; it is looked at again only then. */
  #ranges(): TrappedRanges {
    const ranges = this.#facetRanges();
    if (ranges === this.#seen) return this.#trapped;
    this.#trapped = this.#parse(ranges);
    this.#seen = ranges;
    return this.#trapped;
  }

  #facetRanges(): readonly RegionRange[] {
    try {
      return this.facet.trapped;
    } catch (error) {
      throw this.#guard.named(`the trapped ranges of region ${this.#region.index}`, error);
    }
  }

  #parse(ranges: readonly RegionRange[]): TrappedRanges {
    const { index, size } = this.#region;
    if (!areRanges(ranges, size)) {
      throw this.#guard.nonsense(
        `the trapped ranges of region ${index}`,
        ranges,
        `sorted, separate ranges inside ${size} bytes`,
      );
    }
    // The facet's own borders stay: an access that straddles one is split there.
    const more = withoutRanges(this.#added, ranges);
    const all = more.length === 0 ? ranges : [...ranges, ...more];
    return new TrappedRanges(all.toSorted((a, b) => a.offset - b.offset));
  }
}
