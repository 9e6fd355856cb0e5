import type { IovaRange } from "../device/dma.ts";
import type { IrqInfo, MmapArea } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import type { PrecopyInfo } from "../migration/migration-facet.ts";
import type { Arc } from "../migration/states.ts";
import type { DeviceDescription } from "./description.ts";

/** A stretch of a region, in bytes. */
export interface RegionRange {
  readonly offset: number;
  readonly size: number;
}

/**
 * Takes over ranges of one region. Accesses outside `trapped` go to the base untouched; one that
 * straddles a border is split. Offsets are counted from the region's start.
 */
export interface RegionFacet {
  readonly index: number;
  /** Sorted, without overlap. Read on each access, so a facet may replace the array at run time. */
  readonly trapped: readonly RegionRange[];
  /** Ranges inside `trapped` whose writes are kept while an arc runs, and applied when it ends. */
  readonly doorbells?: readonly RegionRange[];
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  /** What a user may map while running and while a saving session is open. Absent: as the base. */
  readonly mmap?: { readonly runtime: readonly MmapArea[]; readonly saving: readonly MmapArea[] };
  /**
   * True where the sub-driver traps and untraps further ranges while the device runs
   * ({@link SubDriverContext.regions}). The device then has an irq index that asks users to fetch the
   * layout again.
   */
  readonly adjustable?: boolean;
  /**
   * Ranges that are trapped from the first access on, as if {@link SubDriverContext.regions} had trapped
   * them, for a facet that is adjustable: a user may map them only once they are untrapped.
   */
  readonly startsTrapped?: readonly RegionRange[];
}

/** Device-specific irq indexes, after those of the base. One-way: device to user. */
export interface IrqFacet {
  readonly irqs: readonly IrqInfo[];
  set(request: IrqRequest): void;
}

export interface ResetFacet {
  /** Before the base is reset: forget the guest's configuration, keep nothing half done. */
  prepare(): void;
  /** After the base was reset. */
  done(): Promise<void> | void;
}

/** One record of a plugin's state: a type from the manifest and a value that fits its schema. */
export interface StateRecord {
  readonly type: string;
  readonly value: unknown;
}

/** Takes the records of one restoring session. */
export interface StateLoader {
  /** Checks and keeps a record; nothing has to take effect yet. */
  record(record: StateRecord): Promise<void> | void;
  /** Applies everything; runs in the arc RESUMING to STOP. Throws where the state cannot be taken. */
  commit(signal: AbortSignal): Promise<void>;
  /** The session ended without commit. */
  abort(): void;
}

export interface MigrationOps {
  /** One function for each arc that the declared capabilities need; `signal` aborts at the limit or a reset. */
  readonly arcs: Readonly<Partial<Record<Arc, (signal: AbortSignal) => Promise<void>>>>;
  /** Records of the final state, in order, while in STOP_COPY. */
  save(): AsyncIterable<StateRecord> | Iterable<StateRecord>;
  /** Records that may go before the stop; needed where `pre-copy` is declared. */
  savePrecopy?(): AsyncIterable<StateRecord> | Iterable<StateRecord>;
  load(): StateLoader;
  /** Estimate in bytes. */
  size(): number;
  precopyInfo?(): PrecopyInfo;
}

/** Takes what a dirty log knows: bits are only ever set. */
export interface DirtySink {
  /** Marks the pages of `[iova, iova + length)`, in bytes. */
  set(iova: number, length: number): void;
}

export interface DirtyTrackingOps {
  /** Settles with the granted page size when nothing can be missed any more. */
  start(ranges: readonly IovaRange[], pageSize: number): Promise<number>;
  stop(): Promise<void>;
  readAndClear(range: IovaRange, sink: DirtySink): Promise<void> | void;
}

/** What an attached sub-driver gives to core; whatever is absent is the base's. */
export interface SubDriver {
  readonly regions?: readonly RegionFacet[];
  readonly irqs?: IrqFacet;
  readonly reset?: ResetFacet;
  readonly migration?: MigrationOps;
  readonly dirtyTracking?: DirtyTrackingOps;
  /** What this device is and uses now; may ask its PF. */
  describe?(): Promise<DeviceDescription>;
  /** The host wants the device back; `count` rises with urgency. */
  hostRequest?(count: number): void;
  /** Facts about the running driver for people and reports, such as ring indices and what is trapped. */
  status?(): Readonly<Record<string, unknown>>;
  /** Releases everything. Called once, also after a failure. */
  close(): Promise<void>;
}
