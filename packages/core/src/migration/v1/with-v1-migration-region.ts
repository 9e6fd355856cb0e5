import type { DmaMapping, IovaRange } from "../../device/dma.ts";
import { REGION_TYPE, hasType, type DeviceInfo, type RegionInfo } from "../../device/info.ts";
import type { IrqRequest } from "../../device/irqs.ts";
import { MMAP_PAGE_SIZE } from "../../device/mmap-areas.ts";
import { checkRegionAccess } from "../../device/region-access.ts";
import type { AsyncRegion, VfioDevice } from "../../device/vfio-device.ts";
import type { DmaLoggingFacet } from "../../dirty/dma-logging-facet.ts";
import { VfmigError } from "../../errors/vfmig-error.ts";
import type { MigrationFacet } from "../migration-facet.ts";
import { MigrationRegion } from "./migration-region.ts";
import { ObservedMigration } from "./observed-migration.ts";
import { refuseAccess } from "./refuse-access.ts";
import { V1_DATA_OFFSET, V1_REGISTER } from "./registers.ts";

export interface V1MigrationOptions {
  /** Bytes of the data area, and so of the largest chunk: whole pages, 4 KiB to 64 MiB. Default 1 MiB. */
  readonly dataBytes?: number;
}

const DEFAULT_DATA_BYTES = 1_048_576;
const DATA_BYTES_MAX = 67_108_864;

/**
 * Gives a device one more region, of type {@link REGION_TYPE}.MIGRATION, for users that speak migration
 * protocol v1 (kernels before 5.18). The device's own facet stays; use one of the two for one migration.
 *
 * In the kernel an access returned when its duty was done. Here such accesses are those of
 * `asyncRegions`: a vfio-user server sends the reply when they settle, and serves other messages
 * meanwhile. A caller that cannot wait may read the state (the last one reached), and is refused the rest.
 *
 * @throws VfmigError `ERR_VFMIG_MIGRATION_REGION` for a device that cannot migrate or has such a region,
 * and for a data area of another size
 * @example
 * const device = withV1MigrationRegion(await compose(base, subDriver));
 */
export function withV1MigrationRegion(
  device: VfioDevice,
  options: V1MigrationOptions = {},
): VfioDevice {
  const { dataBytes = DEFAULT_DATA_BYTES } = options;
  const { migration } = device;
  if (migration === undefined) throw unsuitable("the device cannot migrate");
  if (device.info.regions.some(({ type }) => hasType(type, REGION_TYPE.MIGRATION))) {
    throw unsuitable("the device has such a region");
  }
  const sound =
    Number.isSafeInteger(dataBytes) &&
    dataBytes >= MMAP_PAGE_SIZE &&
    dataBytes <= DATA_BYTES_MAX &&
    dataBytes % MMAP_PAGE_SIZE === 0;
  if (!sound) {
    throw unsuitable(
      `a data area of ${String(dataBytes)} bytes is not whole pages from 4096 to ${DATA_BYTES_MAX}`,
    );
  }
  return new DeviceWithV1Region(device, migration, dataBytes);
}

function unsuitable(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_REGION",
    `Cannot give the device a migration region of protocol v1: ${why}.`,
    { layer: "core", details: { errno: "EINVAL" } },
  );
}

class DeviceWithV1Region implements VfioDevice {
  readonly migration: MigrationFacet;
  readonly dmaLogging: DmaLoggingFacet | undefined;
  readonly asyncRegions: ReadonlyMap<number, AsyncRegion>;
  readonly noteMapping?: NonNullable<VfioDevice["noteMapping"]>;
  readonly #device: VfioDevice;
  readonly #region: MigrationRegion;
  readonly #regionInfo: RegionInfo;
  #below: DeviceInfo;
  #info: DeviceInfo;

  constructor(device: VfioDevice, migration: MigrationFacet, dataBytes: number) {
    const observed = new ObservedMigration(migration, () => this.#region.sessionEnded());
    this.#device = device;
    this.#region = new MigrationRegion(observed, dataBytes);
    this.migration = observed;
    this.dmaLogging = device.dmaLogging;
    const index = device.info.regions.length;
    this.#regionInfo = {
      index,
      size: V1_DATA_OFFSET + dataBytes,
      read: true,
      write: true,
      type: REGION_TYPE.MIGRATION,
    };
    this.asyncRegions = new Map([...(device.asyncRegions ?? []), [index, this.#checked(index)]]);
    if (device.noteMapping !== undefined) this.noteMapping = device.noteMapping.bind(device);
    this.#below = device.info;
    this.#info = this.#extended(device.info);
  }

  get info(): DeviceInfo {
    const below = this.#device.info;
    // Looked at on each access: made anew only where the layout beneath has changed.
    if (below !== this.#below) {
      this.#below = below;
      this.#info = this.#extended(below);
    }
    return this.#info;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    if (index !== this.#regionInfo.index) return this.#device.readRegion(index, offset, into);
    checkRegionAccess(this.info.regions, index, offset, into.length, "read");
    if (offset !== V1_REGISTER.DEVICE_STATE || into.length !== 4) throw this.#waits("read", offset);
    const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
    view.setUint32(0, this.#region.deviceState, true);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (index !== this.#regionInfo.index) return this.#device.writeRegion(index, offset, from);
    checkRegionAccess(this.info.regions, index, offset, from.length, "write");
    throw this.#waits("write", offset);
  }

  setIrqs(request: IrqRequest): void {
    this.#device.setIrqs(request);
  }

  mapDma(mapping: DmaMapping): void | Promise<void> {
    return this.#device.mapDma(mapping);
  }

  unmapDma(range: IovaRange): void | Promise<void> {
    return this.#device.unmapDma(range);
  }

  async reset(): Promise<void> {
    this.#region.cancel();
    await this.#device.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#region.close();
    await this.#device[Symbol.asyncDispose]();
  }

  /** The region behind the checks that every access has to pass. */
  #checked(index: number): AsyncRegion {
    const region = this.#region;
    return {
      read: async (offset, into) => {
        checkRegionAccess(this.info.regions, index, offset, into.length, "read");
        await region.read(offset, into);
      },
      write: async (offset, from) => {
        checkRegionAccess(this.info.regions, index, offset, from.length, "write");
        await region.write(offset, from);
      },
    };
  }

  #extended(info: DeviceInfo): DeviceInfo {
    return { ...info, regions: [...info.regions, this.#regionInfo] };
  }

  #waits(access: "read" | "write", offset: number): VfmigError {
    const { message } = refuseAccess(
      `${access} offset ${offset}`,
      "this may have to wait, which a synchronous access cannot",
      this.migration.state,
    );
    const details = { region: this.#regionInfo.index, offset, access, errno: "EOPNOTSUPP" };
    return new VfmigError("ERR_VFMIG_REGION_WAITS", message, { layer: "core", details });
  }
}
