import type { DmaMapping, SharedMemory } from "../device/dma.ts";
import type { IovaWindow } from "../device/info.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Logger } from "../logger.ts";
import {
  DMA_MAPPINGS_MAX,
  DMA_PAGE_SIZE,
  DmaMap,
  IOVA_LIMIT,
  type DmaEntry,
} from "../memory/dma-map.ts";
import type { DmaBuffer } from "../sub-driver/context.ts";
import type { BaseCalls } from "./base-calls.ts";
import { baseError, type PluginGuard } from "./plugin-guard.ts";

/** Gives zeroed memory of `bytes` bytes that the base can map for its device. */
export type MemoryAllocator = (bytes: number) => SharedMemory & Partial<Disposable>;

/** One buffer: rings and mailboxes are far below it. */
const BUFFER_MAX = 1 << 30;

const EVERYWHERE: readonly IovaWindow[] = [{ first: 0n, last: IOVA_LIMIT - 1n }];

/** Memory of a sub-driver that its device can reach: placed from the top, away from the guest's. */
export class PrivateMemory {
  readonly map: DmaMap;
  readonly #base: VfioDevice;
  readonly #guest: DmaMap;
  readonly #guard: PluginGuard;
  readonly #logger: Logger;
  readonly #calls: BaseCalls;
  readonly #allocate: MemoryAllocator;
  readonly #frees = new Map<DmaEntry, () => Promise<void>>();
  readonly #pending = new Set<Promise<void>>();
  #closed = false;

  constructor(
    base: VfioDevice,
    guest: DmaMap,
    guard: PluginGuard,
    logger: Logger,
    calls: BaseCalls,
    allocate: MemoryAllocator = (bytes) => ({ bytes: new Uint8Array(bytes) }),
  ) {
    this.map = new DmaMap(base.info.iovaWindows);
    this.#base = base;
    this.#guest = guest;
    this.#guard = guard;
    this.#logger = logger;
    this.#calls = calls;
    this.#allocate = allocate;
  }

  /** @throws VfmigError `ERR_VFMIG_DMA_ALLOCATE`, or what the base throws */
  allocate(bytes: number): DmaBuffer {
    if (this.#closed) throw this.#refuse(bytes, "the device is closed");
    if (!(Number.isSafeInteger(bytes) && bytes > 0 && bytes <= BUFFER_MAX)) {
      throw this.#refuse(bytes, `a size from 1 to ${BUFFER_MAX} bytes is wanted`);
    }
    if (this.map.size + this.#guest.size >= DMA_MAPPINGS_MAX) {
      throw this.#refuse(bytes, `there are already ${DMA_MAPPINGS_MAX} mappings`);
    }
    const size = Math.ceil(bytes / DMA_PAGE_SIZE) * DMA_PAGE_SIZE;
    const iova = this.#place(size);
    if (iova === undefined) {
      throw this.#refuse(bytes, "no free stretch of that size is left in the base's IOVA windows");
    }
    const memory = this.#memory(size);
    const mapping: DmaMapping = {
      iova: BigInt(iova),
      size: BigInt(size),
      read: true,
      write: true,
      memory,
    };
    const entry = this.map.add(mapping);
    this.#mapToBase(entry, memory);
    const view = memory.bytes;
    const free = (): void => void this.#free(entry);
    return {
      iova,
      bytes: view,
      data: new DataView(view.buffer, view.byteOffset, view.byteLength),
      [Symbol.dispose]: free,
    };
  }

  /** Settles when the base has taken every buffer so far; throws where it could not. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** Frees every buffer. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#frees.keys(), (entry) => this.#free(entry)));
  }

  #memory(size: number): SharedMemory & Partial<Disposable> {
    let memory: SharedMemory & Partial<Disposable>;
    try {
      memory = this.#allocate(size);
    } catch (error) {
      throw this.#refuse(size, "the host gave no memory (see the cause)", error);
    }
    if (memory.bytes.length === size) return memory;
    memory[Symbol.dispose]?.();
    throw this.#refuse(size, `the host gave ${memory.bytes.length} bytes`);
  }

  #mapToBase(entry: DmaEntry, memory: Partial<Disposable>): void {
    const forget = (): void => {
      this.map.remove(entry);
      this.#frees.delete(entry);
      memory[Symbol.dispose]?.();
    };
    let mapped: void | Promise<void>;
    try {
      mapped = this.#base.mapDma(entry.mapping);
    } catch (error) {
      forget();
      throw baseError("mapping private memory", error);
    }
    if (mapped !== undefined) this.#watch(mapped);
    this.#frees.set(entry, async () => {
      this.#frees.delete(entry);
      try {
        const { iova, size } = entry.mapping;
        const unmap = async (): Promise<void> => {
          await mapped?.catch(() => {});
          await this.#base.unmapDma({ iova, size });
        };
        // The memory stays where the base has not answered: its device may still reach it.
        const unmapped = unmap().finally(forget);
        await this.#calls.within("unmapping private memory", unmapped);
      } catch (error) {
        throw baseError("unmapping private memory", error);
      }
    });
  }

  #watch(mapped: Promise<void>): void {
    const watched = this.#calls.within("mapping private memory", mapped).catch((error: unknown) => {
      const named = baseError("mapping private memory", error);
      this.#logger.error(named.message, { code: named.code, layer: named.layer });
      throw named;
    });
    this.#pending.add(watched);
    watched.then(
      () => this.#pending.delete(watched),
      () => {},
    );
  }

  async #free(entry: DmaEntry): Promise<void> {
    try {
      await this.#frees.get(entry)?.();
    } catch (error) {
      const named = baseError("unmapping private memory", error);
      this.#logger.error(named.message, { code: named.code, layer: named.layer });
    }
  }

  /** The highest free place: guests put their memory low, so that a later clash is unlikely. */
  #place(size: number): number | undefined {
    const given = this.#base.info.iovaWindows;
    const windows = (given.length === 0 ? EVERYWHERE : given).toSorted((a, b) =>
      a.first < b.first ? 1 : -1,
    );
    for (const { first, last } of windows) {
      const lowest = Number(first > IOVA_LIMIT ? IOVA_LIMIT : first);
      const top = Number(last >= IOVA_LIMIT ? IOVA_LIMIT : last + 1n);
      for (let end = floorPage(top); end - size >= lowest;) {
        const start = end - size;
        const clash = this.#guest.overlapping(start, end) ?? this.map.overlapping(start, end);
        if (clash === undefined) return start;
        end = clash.start;
      }
    }
    return undefined;
  }

  #refuse(bytes: number, why: string, cause?: unknown): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_DMA_ALLOCATE",
      `${this.#guard.layer} cannot have ${String(bytes)} bytes of private memory: ${why}.`,
      { layer: "core", details: { bytes, driver: this.#guard.layer }, cause },
    );
  }
}

function floorPage(address: number): number {
  return address - (address % DMA_PAGE_SIZE);
}
