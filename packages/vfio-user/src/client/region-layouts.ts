import { coversArea, hasType, IRQ_TYPE, VfmigError, withoutRanges } from "@vfmig/core";
import type { DeviceInfo, Logger, MmapArea, RegionInfo } from "@vfmig/core";
import type { MappedMemory, NativeIo, Watch } from "@vfmig/linux";
import { MAX_AREAS } from "../codec/mmap-areas.ts";
import type { Channel } from "./channel.ts";
import { discoverRegion } from "./handshake.ts";
import { irqOperations } from "./irq-batches.ts";
import { regionUnmapped } from "./operations.ts";

/** A part of a region. */
export interface RegionArea {
  readonly region: number;
  readonly area: MmapArea;
}

/** What has become of a device's regions. */
export interface LayoutChange {
  readonly before: readonly RegionInfo[];
  readonly regions: readonly RegionInfo[];
  /** What can no longer be mapped: the server is told that it is not when the callback has settled. */
  readonly lost: readonly RegionArea[];
}

/** Told of each new layout; has let go of `lost` when it returns or settles. */
export type LayoutListener = (change: LayoutChange) => void | Promise<void>;

export interface RegionLayoutsParts {
  readonly channel: Channel;
  readonly io: NativeIo;
  readonly logger: Logger;
  readonly info: DeviceInfo;
  /** Fds of regions are asked for. */
  readonly wantFds: boolean;
  /** The server takes REGION_UNMAPPED. */
  readonly extended: boolean;
  /** Most fds that the server takes in one message. */
  readonly maxFds: number;
  readonly onInfo: (info: DeviceInfo) => void;
}

interface LiveMap extends RegionArea {
  readonly memory: MappedMemory;
}

/** The irq by which the server asks for another look, while somebody wants to know. */
interface Subscription {
  readonly fd: number;
  readonly watch: Watch;
}

/** How a remote device's regions can be mapped: follows the server's layouts, and says what is let go. */
export class RegionLayouts {
  readonly #parts: RegionLayoutsParts;
  /** By region, what the server counts as mapped by this client. */
  readonly #held: MmapArea[][];
  /** By region; a region's file stays the same, so that its first fd serves for good. */
  readonly #fds = new Map<number, number>();
  readonly #maps = new Set<LiveMap>();
  readonly #listeners = new Set<LayoutListener>();
  #subscription: Subscription | undefined;
  #info: DeviceInfo;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #closed = false;

  constructor(parts: RegionLayoutsParts) {
    this.#parts = parts;
    this.#info = parts.info;
    this.#held = parts.info.regions.map(({ mmap }) => [...(mmap?.areas ?? [])]);
    for (const { index, mmap } of parts.info.regions) {
      if (mmap !== undefined) this.#fds.set(index, mmap.fd);
    }
  }

  get info(): DeviceInfo {
    return this.#info;
  }

  /**
   * Maps whole pages of a region. Asks for the layout again where they were given up before.
   * @throws VfmigError `ERR_VFMIG_MAPPING_REFUSED`
   */
  async map(region: number, area: MmapArea): Promise<MappedMemory> {
    const { io } = this.#parts;
    if (!coversArea(this.#held[region] ?? [], area) && this.#info.regions[region] !== undefined) {
      await this.#fetch(region);
    }
    const info = this.#info.regions[region];
    const whole = area.offset % io.pageSize === 0 && area.size % io.pageSize === 0 && area.size > 0;
    if (!whole || info?.mmap === undefined || !coversArea(info.mmap.areas, area)) {
      throw new VfmigError(
        "ERR_VFMIG_MAPPING_REFUSED",
        `vfio-user: region ${region} cannot be mapped at ${area.offset}, ${area.size} bytes, under its present layout`,
        { layer: "vfio-user", details: { region, area, areas: info?.mmap?.areas } },
      );
    }
    const { fd, fdOffset } = info.mmap;
    const offset = fdOffset + BigInt(area.offset);
    // What was disposed by whoever mapped it is detached.
    for (const map of this.#maps) if (map.memory.bytes.length === 0) this.#maps.delete(map);
    const memory = io.mmap(fd, area.size, { offset, write: info.write });
    this.#maps.add({ region, area, memory });
    return memory;
  }

  /**
   * Unmaps what {@link RegionLayouts.map} has mapped there, and tells the server that this client maps
   * nothing of it; without `areas`, of the whole region.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_UNSUPPORTED` where the server cannot be told
   */
  async release(region: number, areas?: readonly MmapArea[]): Promise<void> {
    const { channel, extended } = this.#parts;
    const all = areas ?? [{ offset: 0, size: Number.MAX_SAFE_INTEGER }];
    this.#drop(all.map((area) => ({ region, area })));
    if (!extended) {
      throw unsupported("the server counts what it gave as mapped until this client disconnects");
    }
    if (areas === undefined) await channel.call(regionUnmapped({ region, areas }));
    else {
      for (let at = 0; at < areas.length; at += MAX_AREAS) {
        await channel.call(regionUnmapped({ region, areas: areas.slice(at, at + MAX_AREAS) }));
      }
    }
    this.#held[region] = [...withoutRanges(this.#held[region] ?? [], all)];
  }

  /** Gives up, region by region, what cannot stay mapped while the device is saved. */
  async adoptSaving(): Promise<readonly RegionArea[]> {
    const given: RegionArea[] = [];
    for (const { index, mmap } of this.#info.regions) {
      if (mmap?.saving === undefined) continue;
      const areas = withoutRanges(this.#held[index] ?? [], mmap.saving);
      if (areas.length === 0) continue;
      await this.release(index, areas);
      given.push(...areas.map((area) => ({ region: index, area })));
    }
    return given;
  }

  /**
   * Calls back whenever a layout has changed, until the answer is disposed.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_UNSUPPORTED` where the device has no such irq index
   */
  async onChange(listener: LayoutListener): Promise<Disposable> {
    this.#listeners.add(listener);
    const ended: Disposable = {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) this.#unsubscribe();
      },
    };
    try {
      if (this.#subscription === undefined) await this.#subscribe();
      // Whatever has changed before the event was set is seen by looking now.
      await this.look();
      return ended;
    } catch (error) {
      ended[Symbol.dispose]();
      throw error;
    }
  }

  /** Fetches the layout, tells the listeners, and has the server know what is let go. */
  look(): Promise<void> {
    this.#lookAgain = true;
    this.#looking ??= this.#lookOn().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  /** Unmaps and closes everything; the connection has ended. */
  close(): void {
    this.#closed = true;
    this.#listeners.clear();
    this.#forgetSubscription();
    this.#drop([...this.#maps]);
    for (const fd of this.#fds.values()) this.#parts.io.close(fd);
    this.#fds.clear();
  }

  async #lookOn(): Promise<void> {
    while (this.#lookAgain && !this.#closed) {
      this.#lookAgain = false;
      const before = this.#info.regions;
      for (const { index } of before) await this.#fetch(index);
      await this.#settle(before);
    }
  }

  /** Everything that is held and not in the layout any more is let go, by the listeners and here. */
  async #settle(before: readonly RegionInfo[]): Promise<void> {
    const { regions } = this.#info;
    const lost = regions.flatMap(({ index, mmap }) =>
      withoutRanges(this.#held[index] ?? [], mmap?.areas ?? []).map((area) => ({
        region: index,
        area,
      })),
    );
    this.#drop(lost);
    for (const listener of this.#listeners) await listener({ before, regions, lost });
    for (const region of new Set(lost.map((each) => each.region))) {
      const areas = lost.filter((each) => each.region === region).map(({ area }) => area);
      await this.release(region, areas);
    }
  }

  /** The layout of one region, as it is now; what it lists counts as mapped from now on. */
  async #fetch(index: number): Promise<void> {
    const { channel, io, wantFds, onInfo } = this.#parts;
    const got: number[] = [];
    let region = await discoverRegion(channel, index, wantFds, got).catch((error: unknown) => {
      for (const fd of got) io.close(fd);
      throw error;
    });
    const kept = this.#fds.get(index);
    const fresh = region.mmap?.fd;
    if (fresh !== undefined && kept === undefined && !this.#closed) this.#fds.set(index, fresh);
    const fd = this.#fds.get(index);
    for (const each of got) if (each !== fd) io.close(each);
    if (region.mmap !== undefined && fd !== undefined) {
      region = { ...region, mmap: { ...region.mmap, fd } };
    }
    const areas = region.mmap?.areas ?? [];
    const held = this.#held[index] ?? [];
    this.#held[index] = [...held, ...withoutRanges(areas, held)].toSorted(
      (a, b) => a.offset - b.offset,
    );
    this.#info = { ...this.#info, regions: this.#info.regions.with(index, region) };
    onInfo(this.#info);
  }

  #drop(areas: readonly RegionArea[]): void {
    for (const map of this.#maps) {
      const touched = areas.some(
        ({ region, area }) =>
          region === map.region &&
          area.offset < map.area.offset + map.area.size &&
          map.area.offset < area.offset + area.size,
      );
      if (!touched) continue;
      this.#maps.delete(map);
      map.memory[Symbol.dispose]();
    }
  }

  async #subscribe(): Promise<void> {
    const { channel, io, maxFds } = this.#parts;
    const irq = this.#info.irqs.find(({ type }) => hasType(type, IRQ_TYPE.LAYOUT));
    if (irq === undefined) throw unsupported("the device has no irq index for changes of layout");
    const fd = io.eventfd();
    const watch = io.watch(fd, () => {
      if (io.drainEventfd(fd) > 0) void this.#lookQuietly();
    });
    this.#subscription = { fd, watch };
    const events = [{ fd, signal: () => io.signalEventfd(fd) }];
    const data = { kind: "event", events } as const;
    const request = { index: irq.index, start: 0, count: 1, action: "trigger", data } as const;
    try {
      for (const operation of irqOperations(request, maxFds)) await channel.call(operation);
    } catch (error) {
      this.#forgetSubscription();
      throw error;
    }
  }

  async #lookQuietly(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      if (this.#closed) return;
      const text = error instanceof Error ? error.message : String(error);
      this.#parts.logger.error(`vfio-user: could not follow a new layout: ${text}`);
    }
  }

  #unsubscribe(): void {
    if (this.#subscription === undefined) return;
    this.#forgetSubscription();
    const irq = this.#info.irqs.find(({ type }) => hasType(type, IRQ_TYPE.LAYOUT));
    if (irq === undefined || this.#closed) return;
    const data = { kind: "none" } as const;
    const request = { index: irq.index, start: 0, count: 0, action: "trigger", data } as const;
    for (const operation of irqOperations(request, this.#parts.maxFds)) {
      // A server that has gone needs no telling.
      this.#parts.channel.call(operation).catch(() => {});
    }
  }

  #forgetSubscription(): void {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    subscription?.watch[Symbol.dispose]();
    if (subscription !== undefined) this.#parts.io.close(subscription.fd);
  }
}

function unsupported(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_VFIO_USER_UNSUPPORTED", `vfio-user: ${why}`, {
    layer: "vfio-user",
  });
}
