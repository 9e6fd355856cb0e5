import { VfmigError } from "@vfmig/core";
import type {
  DeviceInfo,
  DmaLoggingFacet,
  DmaMapping,
  IovaRange,
  IrqRequest,
  MigrationFacet,
  RegionInfo,
  VfioDevice,
} from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { REGION_ACCESS, writeRegionAccess } from "../codec/region-access.ts";
import type { Channel } from "./channel.ts";
import type { GuestMappings } from "./guest-mappings.ts";
import { irqOperations } from "./irq-batches.ts";
import { buildRegionWrite, mapDma } from "./operations.ts";

/** What the view needs of its client. */
export interface DeviceViewOptions {
  readonly channel: Channel;
  readonly info: DeviceInfo;
  readonly migration: MigrationFacet | undefined;
  readonly dmaLogging: DmaLoggingFacet | undefined;
  /** By region: writes need no reply. */
  readonly posted: readonly boolean[];
  /** Most data in one message, in bytes. */
  readonly maxData: number;
  readonly maxFds: number;
  readonly mappings: GuestMappings;
  readonly unmapDma: (range: IovaRange) => Promise<void>;
  readonly reset: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** A remote device with region accesses, irqs and mappings that stand still until they are done. */
export class DeviceView implements VfioDevice {
  readonly migration: MigrationFacet | undefined;
  readonly dmaLogging: DmaLoggingFacet | undefined;
  #info: DeviceInfo;
  /** By region: writes need no reply. */
  #posted: readonly boolean[];
  readonly #options: DeviceViewOptions;
  readonly #channel: Channel;

  constructor(options: DeviceViewOptions) {
    this.#options = options;
    this.#channel = options.channel;
    this.#info = options.info;
    this.#posted = options.posted;
    this.useInfo(options.info);
    this.migration = options.migration;
    this.dmaLogging = options.dmaLogging;
  }

  get info(): DeviceInfo {
    return this.#info;
  }

  /** Takes a new layout. Once a region can be mapped, no write is posted any more. */
  useInfo(info: DeviceInfo): void {
    this.#info = info;
    // As QEMU: a write behind a mapped access must not overtake it.
    if (info.regions.some((region) => region.mmap !== undefined)) this.#posted = [];
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    const region = checkedRegion(this.#info, index, offset, into.length);
    if (!region.read) throw accessError(index, "read");
    const { maxData } = this.#options;
    if (into.length <= maxData) return this.#read(index, offset, into);
    for (let at = 0; at < into.length; at += maxData) {
      this.#read(index, offset + at, into.subarray(at, at + maxData));
    }
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    const region = checkedRegion(this.#info, index, offset, from.length);
    if (!region.write) throw accessError(index, "write");
    const { maxData } = this.#options;
    if (from.length <= maxData) return this.#write(index, offset, from);
    for (let at = 0; at < from.length; at += maxData) {
      this.#write(index, offset + at, from.subarray(at, at + maxData));
    }
  }

  setIrqs(request: IrqRequest): void {
    for (const operation of irqOperations(request, this.#options.maxFds)) {
      this.#channel.callSync(operation);
    }
  }

  mapDma(mapping: DmaMapping): void {
    const { mappings, maxFds } = this.#options;
    const sendFd = maxFds > 0;
    const noted = mappings.add(mapping, sendFd && mapping.memory?.fd !== undefined);
    try {
      this.#channel.callSync(mapDma(mapping, sendFd));
    } catch (error) {
      mappings.undo(noted);
      throw error;
    }
  }

  /** Settles when the server has answered, which may take as long as the device uses the range. */
  unmapDma(range: IovaRange): Promise<void> {
    return this.#options.unmapDma(range);
  }

  reset(): Promise<void> {
    return this.#options.reset();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#options.close();
  }

  #read(index: number, offset: number, into: Uint8Array): void {
    const { out } = this.#channel;
    writeRegionAccess(out.view, out.at, offset, index, into.length);
    this.#channel.access(COMMAND.REGION_READ, index, offset, REGION_ACCESS.BYTES, into);
  }

  #write(index: number, offset: number, from: Uint8Array): void {
    const { REGION_WRITE } = COMMAND;
    const payloadBytes = buildRegionWrite(this.#channel.out, index, offset, from);
    if (this.#posted[index] === true) this.#channel.post(REGION_WRITE, payloadBytes);
    else this.#channel.access(REGION_WRITE, index, offset, payloadBytes, from);
  }
}

/** @throws VfmigError `ERR_VFMIG_REGION_INDEX`, `ERR_VFMIG_REGION_RANGE` */
export function checkedRegion(
  info: DeviceInfo,
  index: number,
  offset: number,
  length: number,
): RegionInfo {
  const region = info.regions[index];
  if (region === undefined) {
    throw new VfmigError("ERR_VFMIG_REGION_INDEX", `vfio-user: the device has no region ${index}`, {
      layer: "vfio-user",
      details: { index },
    });
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > region.size) {
    throw new VfmigError(
      "ERR_VFMIG_REGION_RANGE",
      `vfio-user: ${length} bytes at offset ${offset} are outside region ${index}, which has ${region.size}`,
      { layer: "vfio-user", details: { index, offset, length, size: region.size } },
    );
  }
  return region;
}

export function accessError(index: number, what: "read" | "write"): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REGION_ACCESS",
    `vfio-user: region ${index} does not allow to ${what}`,
    { layer: "vfio-user", details: { index } },
  );
}
