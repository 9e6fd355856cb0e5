import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import type { VfmigError } from "../errors/vfmig-error.ts";
import type { Logger } from "../logger.ts";
import { createGuestMemory } from "../memory/create-guest-memory.ts";
import { DmaMap, refuseMapping, type DmaEntry } from "../memory/dma-map.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { isBaseTimeout, type BaseCalls } from "./base-calls.ts";
import { baseError, type PluginGuard } from "./plugin-guard.ts";
import { PrivateMemory, type MemoryAllocator } from "./private-memory.ts";

/** The guest's DMA mappings on their way to the base, and what the sub-driver sees of them. */
export class GuestDma {
  readonly memory: GuestMemory;
  readonly private: PrivateMemory;
  readonly #map: DmaMap;
  readonly #base: VfioDevice;
  readonly #guard: PluginGuard;
  readonly #logger: Logger;
  readonly #calls: BaseCalls;
  /** Mappings that the base is still making. */
  readonly #pending = new Map<DmaEntry, Promise<void>>();
  readonly #onMap = new Set<(mapping: DmaMapping) => void>();
  readonly #onUnmap = new Set<(range: IovaRange) => void>();

  constructor(
    base: VfioDevice,
    guard: PluginGuard,
    logger: Logger,
    calls: BaseCalls,
    allocateMemory?: MemoryAllocator,
  ) {
    this.#calls = calls;
    this.#base = base;
    this.#guard = guard;
    this.#logger = logger;
    this.#map = new DmaMap(base.info.iovaWindows);
    this.memory = createGuestMemory(this.#map, (iova) =>
      logger.warn(
        `The guest's driver uses memory at 0x${iova.toString(16)} that came without a file: ` +
          `${guard.layer} cannot reach it, and takes it as a hole. Give the guest memory with a file ` +
          "(QEMU: -object memory-backend-memfd,id=mem,size=...,share=on).",
        { layer: guard.layer, iova },
      ),
    );
    this.private = new PrivateMemory(base, this.#map, guard, logger, calls, allocateMemory);
  }

  onMap(callback: (mapping: DmaMapping) => void): () => void {
    this.#onMap.add(callback);
    return () => void this.#onMap.delete(callback);
  }

  onUnmap(callback: (range: IovaRange) => void): () => void {
    this.#onUnmap.add(callback);
    return () => void this.#onUnmap.delete(callback);
  }

  /** @throws VfmigError `ERR_VFMIG_DMA_MAP`, or what the base throws; nothing is mapped then */
  map(mapping: DmaMapping): void | Promise<void> {
    const entry = this.#map.add(mapping, false);
    let mapped: void | Promise<void>;
    try {
      this.#refusePrivateClash(entry);
      mapped = this.#base.mapDma(mapping);
    } catch (error) {
      this.#map.remove(entry);
      throw baseError("mapping memory for DMA", error);
    }
    if (mapped === undefined) return this.#expose(entry);
    const exposed = this.#exposeLater(entry, mapped);
    this.#pending.set(entry, exposed);
    return exposed;
  }

  /**
   * The sub-driver lets go first, then its view of the memory goes, then the base unmaps.
   * @throws VfmigError `ERR_VFMIG_DMA_UNMAP`, or what the base throws; the unmapping may be repeated
   */
  unmap(range: IovaRange): void | Promise<void> {
    const entry = this.#map.exact(range);
    const pending = this.#pending.get(entry);
    if (pending !== undefined) return pending.then(() => this.unmap(range));
    this.#conceal(entry);
    let unmapped: void | Promise<void>;
    try {
      unmapped = this.#base.unmapDma(range);
    } catch (error) {
      throw baseError("unmapping memory", error);
    }
    // The range stays taken until the base has really let go of it.
    if (unmapped === undefined) return this.#map.remove(entry);
    const gone = unmapped.then(
      () => this.#map.remove(entry),
      (error: unknown) => {
        throw baseError("unmapping memory", error);
      },
    );
    return this.#calls.within("unmapping memory", gone);
  }

  /** Unmaps whatever the guest has mapped; goes on after a failure, and throws the first. */
  async unmapAll(): Promise<void> {
    let failure: unknown;
    for (const mapping of Array.from(this.#map.entries, (entry) => entry.mapping)) {
      try {
        await this.unmap({ iova: mapping.iova, size: mapping.size });
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  async #exposeLater(entry: DmaEntry, mapped: Promise<void>): Promise<void> {
    try {
      await this.#calls.within("mapping memory for DMA", mapped);
    } catch (error) {
      if (isBaseTimeout(error)) void this.#undoLate(entry, mapped);
      else this.#map.remove(entry);
      throw baseError("mapping memory for DMA", error);
    } finally {
      this.#pending.delete(entry);
    }
    await this.#expose(entry);
  }

  /** A base that was given up may still map: the range stays taken until that is undone. */
  async #undoLate(entry: DmaEntry, mapped: Promise<void>): Promise<void> {
    const { iova, size } = entry.mapping;
    try {
      await mapped;
      await this.#base.unmapDma({ iova, size });
    } catch (error) {
      this.#logger.debug("A mapping that came too late is gone.", { iova, error });
    }
    this.#map.remove(entry);
  }

  #expose(entry: DmaEntry): void | Promise<void> {
    entry.usable = true;
    try {
      for (const callback of this.#onMap) callback(entry.mapping);
    } catch (error) {
      const named = this.#guard.named("onMap", error);
      return this.#takeBack(entry, named);
    }
  }

  /** The sub-driver failed on a new mapping: the guest is told, and has not got it. */
  #takeBack(entry: DmaEntry, error: VfmigError): Promise<void> {
    const { iova, size } = entry.mapping;
    const undone = this.unmap({ iova, size });
    if (undone === undefined) throw error;
    return undone.then(() => {
      throw error;
    });
  }

  #conceal(entry: DmaEntry): void {
    if (!entry.usable) return;
    const { iova, size } = entry.mapping;
    for (const callback of this.#onUnmap) {
      try {
        callback({ iova, size });
      } catch (error) {
        // Memory that goes cannot be kept for a sub-driver that stumbles.
        const named = this.#guard.named("onUnmap", error);
        this.#logger.error(named.message, { code: named.code, layer: named.layer });
      }
    }
    entry.usable = false;
  }

  #refusePrivateClash(entry: DmaEntry): void {
    const clash = this.private.map.overlapping(entry.start, entry.end);
    if (clash === undefined) return;
    throw refuseMapping(
      entry.mapping,
      `private memory of ${this.#guard.layer} is at 0x${clash.start.toString(16)} ` +
        `(0x${(clash.end - clash.start).toString(16)} bytes)`,
      "EEXIST",
    );
  }
}
