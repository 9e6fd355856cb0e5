import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import type { DeviceInput } from "./device-input.ts";
import type { DmaMapping, IovaRange } from "./dma.ts";
import type { DeviceInfo, MmapArea } from "./info.ts";
import type { IrqRequest } from "./irqs.ts";

/** What a user holds mapped. Disposing it says that nothing of it is mapped any more. */
export interface MappingNote extends Disposable {
  /** Says that a part of it is not mapped any more; absent where only the whole can be given up. */
  release?(area: MmapArea): void;
}

/**
 * A region whose accesses may have to wait: a user that can wait is served by these instead of
 * {@link VfioDevice.readRegion} and {@link VfioDevice.writeRegion}. One access at a time.
 */
export interface AsyncRegion {
  /**
   * What an access waits for besides its own duty. `state` (default): changes of the migration state that
   * came before it. `accesses`: earlier accesses of every region, and nothing else.
   */
  readonly order?: "state" | "accesses";
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, from: Uint8Array): Promise<void>;
}

/**
 * The one interface that all layers speak: the kernel's device, a remote one, a model, a composed one.
 *
 * Region access is synchronous and allocates nothing, since a guest's CPU stands still behind it.
 */
export interface VfioDevice extends AsyncDisposable {
  readonly info: DeviceInfo;

  /**
   * Reads `into.length` bytes at `offset` (bytes) of region `index`.
   * @throws VfmigError `ERR_VFMIG_REGION_INDEX`, `ERR_VFMIG_REGION_RANGE`, `ERR_VFMIG_REGION_ACCESS`
   */
  readRegion(index: number, offset: number, into: Uint8Array): void;

  /**
   * Writes `from` at `offset` (bytes) of region `index`.
   * @throws VfmigError as {@link VfioDevice.readRegion}
   */
  writeRegion(index: number, offset: number, from: Uint8Array): void;

  /** @throws VfmigError `ERR_VFMIG_IRQ_REQUEST` */
  setIrqs(request: IrqRequest): void;

  /** @throws VfmigError `ERR_VFMIG_DMA_MAP` (overlap, alignment, size, clash with private memory) */
  mapDma(mapping: DmaMapping): void | Promise<void>;

  /** Settles when every use of the range has ended. The range equals one mapping exactly. */
  unmapDma(range: IovaRange): void | Promise<void>;

  /** Function level reset. Ends every session; the migration state becomes RUNNING. */
  reset(): Promise<void>;

  /**
   * Notes that a user holds `area` of region `index` mapped, until the answer is disposed: a change into
   * a state whose layout does not allow it is refused. Absent where no layout ever changes.
   * @param holder - who maps it, for the refusal's message
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where the layout in force does not allow it now
   */
  noteMapping?(index: number, area: MmapArea, holder?: string): MappingNote;

  /**
   * By index, the regions of which an access may have to wait. Absent on most devices; it may come and go,
   * so users look at each access.
   */
  readonly asyncRegions?: ReadonlyMap<number, AsyncRegion> | undefined;

  /** Undefined where the device cannot migrate. */
  readonly migration: MigrationFacet | undefined;
  /** Undefined where the device keeps no log of its writes. */
  readonly dmaLogging: DmaLoggingFacet | undefined;
  /**
   * What the IOMMU knows of the device's writes, as one source of dirty pages: it sees all that the
   * device writes, and nothing that a process writes in its place. Absent where the IOMMU keeps no log.
   */
  readonly iommuDirty?: DmaLoggingFacet | undefined;
  /** What reaches the device from outside; absent where the device cannot tell, as hardware cannot. */
  readonly input?: DeviceInput | undefined;
  /** Tells of what a sub-driver changes on purpose, right after it did. Absent without sub-driver. */
  onIntended?(listener: (change: IntendedChange) => void): void;
}
