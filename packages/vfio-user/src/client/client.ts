import { VfmigError } from "@vfmig/core";
import type {
  DeviceInfo,
  DmaLoggingFacet,
  DmaMapping,
  IovaRange,
  IrqRequest,
  MmapArea,
  MigrationFacet,
  VfioDevice,
} from "@vfmig/core";
import type { MappedMemory } from "@vfmig/linux";
import { FEATURE, FEATURE_FLAG } from "../codec/device-feature.ts";
import { HEADER } from "../codec/header.ts";
import { REGION_IO_FDS, type RegionIoFd } from "../codec/region-io-fds.ts";
import { WRITE_MULTI, WRITE_MULTI_DATA, type SmallWrite } from "../codec/region-write-multi.ts";
import type { Capabilities } from "../codec/version.ts";
import { threadToken } from "../thread-token.ts";
import { Channel } from "./channel.ts";
import { accessError, checkedRegion, DeviceView } from "./device-view.ts";
import { RemoteDmaLogging } from "./dma-logging.ts";
import { getMigrationFlags, getMigrationState, probeFeature } from "./feature-operations.ts";
import { GuestMappings } from "./guest-mappings.ts";
import { discover, exchangeVersions, type Discovered } from "./handshake.ts";
import { irqOperations } from "./irq-batches.ts";
import { RemoteMigration } from "./migration.ts";
import type { UnmapDirty } from "./operations.ts";
import * as operations from "./operations.ts";
import { RegionLayouts, type LayoutListener, type RegionArea } from "./region-layouts.ts";
import { clientSettings, type ClientSettings, type VfioUserClientOptions } from "./options.ts";

/** A device behind a vfio-user socket. */
export interface VfioUserClient extends AsyncDisposable {
  /** With the layout that was fetched last. */
  readonly info: DeviceInfo;
  /**
   * The device with accesses that stand still until the server has answered.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_SAME_THREAD` where that server runs on this very thread
   */
  readonly device: VfioDevice;
  /** Undefined where the device cannot migrate. */
  readonly migration: MigrationFacet | undefined;
  /** Undefined where the device keeps no log of its writes. */
  readonly dmaLogging: DmaLoggingFacet | undefined;
  /** Settles when the connection has ended, with the reason where it was not `close`. */
  readonly closed: Promise<VfmigError | undefined>;
  readRegion(index: number, offset: number, into: Uint8Array): Promise<void>;
  /** Waits for the reply, also where the synchronous view posts. */
  writeRegion(index: number, offset: number, from: Uint8Array): Promise<void>;
  setIrqs(request: IrqRequest): Promise<void>;
  /**
   * Writes of up to 8 bytes each, in their order: one message where the server takes REGION_WRITE_MULTI,
   * else one for each.
   */
  writeRegions(writes: readonly SmallWrite[]): Promise<void>;
  /**
   * What a VMM could watch instead of sending writes; the caller closes the fds.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_REMOTE` (EOPNOTSUPP where the device offers none)
   */
  regionIoFds(index: number): Promise<readonly RegionIoFd[]>;
  /**
   * Memory with an fd is sent with it, unless `sendFd` is false; all other is reached by messages, which
   * this client answers.
   */
  mapDma(mapping: DmaMapping, options?: { readonly sendFd?: boolean }): Promise<void>;
  /** With `dirty`, merges the pages that the device has written into its bits; its log must run. */
  unmapDma(range: IovaRange, options?: { readonly dirty?: UnmapDirty }): Promise<void>;
  /** Removes every mapping. */
  unmapAllDma(): Promise<void>;
  /**
   * Maps whole pages of a region. The memory is unmapped, and its bytes detached, when the layout does not
   * allow it any more (see {@link VfioUserClient.onLayoutChange}) and when the connection ends.
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED` where the layout does not allow it now
   */
  mapRegion(index: number, area: MmapArea): Promise<MappedMemory>;
  /**
   * Unmaps what `mapRegion` has mapped there, and tells the server that this client maps nothing of it,
   * nor by the region's fd: without `areas`, of the whole region.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_UNSUPPORTED` where the server does not take that
   */
  releaseRegion(index: number, areas?: readonly MmapArea[]): Promise<void>;
  /** Gives up what cannot stay mapped while the device is saved or logged, and says what that was. */
  adoptSavingLayout(): Promise<readonly RegionArea[]>;
  /**
   * Follows the device's layouts from now on: {@link VfioUserClient.info} is fetched again, what `mapRegion`
   * has mapped where it must not be is unmapped, `listener` is told, and then the server. Whoever maps a
   * region's fd itself has to let go in `listener`; one that throws keeps the server from being told.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_UNSUPPORTED` where the device has no irq index for it
   */
  onLayoutChange(listener: LayoutListener): Promise<Disposable>;
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** What this client takes, and so the most that it sends. */
const MAX_MESSAGE_FDS = 16;
/** Beyond the bulk data of a message. */
const STRUCT_BYTES = 8192;
/** libvfio-user loses the stream on larger requests (one socket buffer of the kernel). */
const FOREIGN_WRITE_LIMIT = 32_768;

/**
 * Connects to a vfio-user server, negotiates and asks what its device is.
 *
 * @throws VfmigError `ERR_VFMIG_SYSTEM_CALL` (cannot connect), `ERR_VFMIG_VFIO_USER_VERSION`,
 * `ERR_VFMIG_VFIO_USER_CLOSED`, `ERR_VFMIG_VFIO_USER_TIMEOUT` (another client is served)
 * @example
 * ```ts
 * await using client = await connectVfioUser({ io: createLinuxIo(), path: "/run/vf0.sock" });
 * const vendor = new Uint8Array(2);
 * await client.readRegion(7, 0, vendor);
 * ```
 */
export async function connectVfioUser(options: VfioUserClientOptions): Promise<VfioUserClient> {
  const settings = clientSettings(options);
  const name = options.path ?? `fd ${options.fd}`;
  const fd = options.fd ?? settings.io.connect(options.path ?? "");
  const regionFds: number[] = [];
  const channel = new Channel({
    ...settings,
    fd,
    maxMessageBytes: HEADER.BYTES + STRUCT_BYTES + settings.maxDataTransferSize,
  });
  try {
    const { capabilities: peer } = await exchangeVersions(channel, ownCapabilities(settings));
    const layouts = peer.vfmig?.layout === true;
    const found = await discover(channel, name, settings.regionFds, regionFds, layouts);
    const facets = await discoverFacets(channel, settings, peer);
    // A server may have sent an fd with each of several answers for one region.
    const used = new Set(found.info.regions.map(({ mmap }) => mmap?.fd));
    for (const each of regionFds) if (!used.has(each)) settings.io.close(each);
    return new Client(settings, channel, found, peer, facets);
  } catch (error) {
    channel.close();
    for (const each of regionFds) settings.io.close(each);
    throw error;
  }
}

function ownCapabilities(settings: ClientSettings): Capabilities {
  return {
    maxMsgFds: 16,
    maxDataTransferSize: settings.maxDataTransferSize,
    maxDmaMaps: 65_535,
    pageSizes: settings.io.pageSize,
    migration: { pageSize: settings.io.pageSize, maxBitmapSize: settings.maxDataTransferSize },
    ...(settings.writeMultiple ? { writeMultiple: true } : {}),
    ...(settings.twinSocket ? { twinSocket: { supported: true } } : {}),
    vfmig: { thread: threadToken(), layout: true },
  };
}

interface Facets {
  readonly migration: RemoteMigration | undefined;
  readonly dmaLogging: RemoteDmaLogging | undefined;
}

/** The facets that the server has; a server that refuses to say has none. */
async function discoverFacets(
  channel: Channel,
  settings: ClientSettings,
  peer: Capabilities,
): Promise<Facets> {
  const flags = await orUndefined(channel.call(getMigrationFlags()));
  const state = flags && (await orUndefined(channel.call(getMigrationState())));
  const logs = await orUndefined(
    channel.call(probeFeature(FEATURE.DMA_LOGGING_START, FEATURE_FLAG.SET)).then(() => true),
  );
  const read = Math.min(settings.maxDataTransferSize, peer.maxDataTransferSize);
  const write =
    peer.vfmig === undefined
      ? Math.min(FOREIGN_WRITE_LIMIT, peer.maxDataTransferSize)
      : peer.maxDataTransferSize;
  const bitmap = Math.min(settings.maxDataTransferSize, peer.migration?.maxBitmapSize ?? Infinity);
  return {
    migration:
      flags && state ? new RemoteMigration(channel, flags, state, { read, write }) : undefined,
    dmaLogging: logs === true ? new RemoteDmaLogging(channel, bitmap) : undefined,
  };
}

async function orUndefined<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (VfmigError.is(error) && error.code === "ERR_VFMIG_VFIO_USER_REMOTE") return undefined;
    throw error;
  }
}

class Client implements VfioUserClient {
  readonly migration: RemoteMigration | undefined;
  readonly dmaLogging: RemoteDmaLogging | undefined;
  readonly closed: Promise<VfmigError | undefined>;
  readonly #channel: Channel;
  readonly #view: DeviceView;
  readonly #sameThread: boolean;
  readonly #maxData: number;
  readonly #maxFds: number;
  readonly #writeMultiple: boolean;
  readonly #mappings: GuestMappings;
  readonly #layouts: RegionLayouts;

  constructor(
    settings: ClientSettings,
    channel: Channel,
    found: Discovered,
    peer: Capabilities,
    facets: Facets,
  ) {
    this.migration = facets.migration;
    this.dmaLogging = facets.dmaLogging;
    this.#channel = channel;
    this.#sameThread = peer.vfmig?.sameThread === true;
    this.#maxData = Math.min(settings.maxDataTransferSize, peer.maxDataTransferSize);
    this.#maxFds = Math.min(MAX_MESSAGE_FDS, peer.maxMsgFds);
    this.#writeMultiple = settings.writeMultiple && peer.writeMultiple === true;
    // The lowest bit is the smallest page.
    const pageSize = Math.max(4096, Number(BigInt(peer.pageSizes) & -BigInt(peer.pageSizes)));
    this.#mappings = new GuestMappings(peer.maxDmaMaps, pageSize);
    channel.answerFrom(this.#mappings);
    this.closed = channel.closed.then((reason) => {
      this.#mappings.clear();
      this.#layouts.close();
      return reason;
    });
    const posts = settings.postedWrites === "memory";
    this.#layouts = new RegionLayouts({
      channel,
      io: settings.io,
      logger: settings.logger,
      info: found.info,
      wantFds: settings.regionFds,
      extended: peer.vfmig?.layout === true,
      maxFds: this.#maxFds,
      onInfo: (info) => this.#view.useInfo(info),
    });
    this.#view = new DeviceView({
      channel,
      info: found.info,
      migration: facets.migration,
      dmaLogging: facets.dmaLogging,
      posted: found.memory.map((memory) => memory && posts),
      maxData: this.#maxData,
      maxFds: this.#maxFds,
      mappings: this.#mappings,
      unmapDma: (range) => this.unmapDma(range),
      reset: () => this.reset(),
      close: () => this.close(),
    });
  }

  get info(): DeviceInfo {
    return this.#layouts.info;
  }

  get device(): VfioDevice {
    if (!this.#sameThread) return this.#view;
    throw new VfmigError(
      "ERR_VFMIG_VFIO_USER_SAME_THREAD",
      `vfio-user: the server of ${this.info.identity.device} runs on this thread and could never answer a call that stands still; use the client's asynchronous methods, or serve the device in another thread`,
      { layer: "vfio-user", details: { device: this.info.identity.device } },
    );
  }

  async readRegion(index: number, offset: number, into: Uint8Array): Promise<void> {
    if (!checkedRegion(this.info, index, offset, into.length).read)
      throw accessError(index, "read");
    for (let at = 0; at < into.length; at += this.#maxData) {
      const piece = into.subarray(at, at + this.#maxData);
      await this.#channel.call(operations.readRegion(index, offset + at, piece));
    }
  }

  async writeRegion(index: number, offset: number, from: Uint8Array): Promise<void> {
    if (!checkedRegion(this.info, index, offset, from.length).write)
      throw accessError(index, "write");
    for (let at = 0; at < from.length; at += this.#maxData) {
      const piece = from.subarray(at, at + this.#maxData);
      await this.#channel.call(operations.writeRegion(index, offset + at, piece));
    }
  }

  async setIrqs(request: IrqRequest): Promise<void> {
    for (const operation of irqOperations(request, this.#maxFds))
      await this.#channel.call(operation);
  }

  async writeRegions(writes: readonly SmallWrite[]): Promise<void> {
    for (const { index, offset, data } of writes) {
      const { write } = checkedRegion(this.info, index, offset, data.length);
      if (!write || data.length > WRITE_MULTI_DATA) throw accessError(index, "write");
    }
    if (!this.#writeMultiple) {
      for (const { index, offset, data } of writes) await this.writeRegion(index, offset, data);
      return;
    }
    const step = Math.max(1, Math.floor(this.#maxData / WRITE_MULTI.ENTRY_BYTES));
    for (let at = 0; at < writes.length; at += step) {
      await this.#channel.call(operations.writeRegions(writes.slice(at, at + step)));
    }
  }

  async regionIoFds(index: number): Promise<readonly RegionIoFd[]> {
    const head = await this.#channel.call(operations.getRegionIoFds(index, REGION_IO_FDS.BYTES));
    if (head.argsz <= REGION_IO_FDS.BYTES || head.argsz > STRUCT_BYTES) return head.entries;
    return (await this.#channel.call(operations.getRegionIoFds(index, head.argsz))).entries;
  }

  async mapDma(mapping: DmaMapping, options: { readonly sendFd?: boolean } = {}): Promise<void> {
    const sendFd = (options.sendFd ?? true) && this.#maxFds > 0;
    const noted = this.#mappings.add(mapping, sendFd && mapping.memory?.fd !== undefined);
    try {
      await this.#channel.call(operations.mapDma(mapping, sendFd));
    } catch (error) {
      this.#mappings.undo(noted);
      throw error;
    }
  }

  async unmapDma(range: IovaRange, options: { readonly dirty?: UnmapDirty } = {}): Promise<void> {
    await this.#channel.call(operations.unmapDma(range, options.dirty));
    this.#mappings.remove(range);
  }

  async unmapAllDma(): Promise<void> {
    await this.#channel.call(operations.unmapDma("all"));
    this.#mappings.clear();
  }

  mapRegion(index: number, area: MmapArea): Promise<MappedMemory> {
    return this.#layouts.map(index, area);
  }

  releaseRegion(index: number, areas?: readonly MmapArea[]): Promise<void> {
    return this.#layouts.release(index, areas);
  }

  adoptSavingLayout(): Promise<readonly RegionArea[]> {
    return this.#layouts.adoptSaving();
  }

  onLayoutChange(listener: LayoutListener): Promise<Disposable> {
    return this.#layouts.onChange(listener);
  }

  async reset(): Promise<void> {
    await this.#channel.call(operations.resetDevice());
    await this.migration?.refresh();
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
