import type { Clock } from "../clock.ts";
import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { DeviceInfo } from "../device/info.ts";
import type { Logger } from "../logger.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { RegionRange } from "./facets.ts";
import type { IntendedChange } from "./intended-change.ts";

/** Device-visible memory that the guest did not give; what is read back from it is hostile. */
export interface DmaBuffer extends Disposable {
  readonly iova: number;
  readonly bytes: Uint8Array;
  readonly data: DataView;
}

/** A vector whose signals reach the sub-driver instead of the VMM. */
export interface Interception {
  /** Signals the VMM's event, if it has set one. */
  signalGuest(): void;
  /** True while the VMM has an event for this vector. */
  readonly guestListens: boolean;
  /** Gives the vector back to the VMM, and signals it once so that no event is lost. */
  release(): void;
}

/** The base device as a sub-driver may use it: accesses and reset, no mappings and no irqs. */
export interface BaseAccess {
  readonly info: DeviceInfo;
  readRegion(index: number, offset: number, into: Uint8Array): void;
  writeRegion(index: number, offset: number, from: Uint8Array): void;
  reset(): Promise<void>;
}

/** Everything that a sub-driver gets. Nothing else is reachable from it. */
export interface SubDriverContext<Options = unknown> {
  readonly base: BaseAccess;
  readonly memory: GuestMemory;
  readonly dma: {
    /** Zeroed memory of `bytes` bytes (rounded up to pages), 4096-aligned in IOVA space. */
    allocate(bytes: number): DmaBuffer;
  };
  readonly interrupts: {
    /** `onSignal` runs on each signal of that vector until release; it must not throw. */
    intercept(index: number, vector: number, onSignal: () => void): Interception;
  };
  /** Further trapped ranges of regions whose facet says `adjustable`; not before `attach` has settled. */
  readonly regions: {
    /**
     * Traps `ranges` (sorted, separate, in bytes) beside what the facet traps. Accesses by message reach
     * the facet when this call returns; those through mappings when it settles: users that map the pages
     * are asked by an irq to fetch the layout again and to say that they have let go. Where it fails,
     * nothing is trapped that was not before.
     * @throws VfmigError `ERR_VFMIG_TRAP_REQUEST`, `ERR_VFMIG_MAPPING_CONFLICT` (a user that maps them
     * does not listen to that irq), `ERR_VFMIG_TRAP_TIMEOUT`, the reason of `signal`
     */
    trap(index: number, ranges: readonly RegionRange[], signal?: AbortSignal): Promise<void>;
    /**
     * Ends what `trap` began, for whole or part of its ranges; the layout is wider when this returns.
     * @throws VfmigError `ERR_VFMIG_TRAP_REQUEST` for ranges that `trap` did not trap
     */
    untrap(index: number, ranges: readonly RegionRange[]): void;
  };
  /** Calls back after a guest mapping was added; returns a function that ends it. */
  onMap(callback: (mapping: DmaMapping) => void): () => void;
  /** Calls back before a guest mapping goes; views into it are dropped when the callback returns. */
  onUnmap(callback: (range: IovaRange) => void): () => void;
  /**
   * Says, right after writing it, that guest memory now shows something else than the device would, on
   * purpose: `vfmig attribute` then lists it apart from differences. Absent where nobody listens.
   */
  readonly intends?: (change: IntendedChange) => void;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly options: Options;
  /** Facts that a privileged helper granted, by the names that the manifest declares. */
  readonly facts: Readonly<Record<string, unknown>>;
}
