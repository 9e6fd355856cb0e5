import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import type { DmaMapping, IovaRange } from "./dma.ts";
import type { DeviceInfo, MmapArea } from "./info.ts";
import type { IrqRequest } from "./irqs.ts";

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
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where the layout in force does not allow it now
   */
  noteMapping?(index: number, area: MmapArea): Disposable;

  /** Undefined where the device cannot migrate. */
  readonly migration: MigrationFacet | undefined;
  /** Undefined where the device keeps no log of its writes. */
  readonly dmaLogging: DmaLoggingFacet | undefined;
}
