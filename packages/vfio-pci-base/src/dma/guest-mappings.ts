import {
  createDmaMap,
  type DmaEntry,
  type DmaMap,
  type DmaMapping,
  type IovaRange,
  type Logger,
} from "@vfmig/core";
import type { MappedMemory, NativeIo } from "@vfmig/linux";
import { baseFault, refusedWith } from "../kernel-calls.ts";
import type { IoSpace, KernelMapping } from "./io-space.ts";

/**
 * Mappings from this size on are made in another thread: pinning a GiB takes the kernel a tenth of a
 * second and more, during which the guest's accesses would wait.
 */
const LATER = 32n * 1024n * 1024n;

/** Told of the changes of what the device can reach. */
export interface MappingObserver {
  mapped(range: IovaRange): void;
  /** Before it goes. */
  unmapping(range: IovaRange): void;
}

/** What was mapped for the device, and by whom it must be taken back. */
export class GuestMappings {
  readonly map: DmaMap;
  readonly #io: NativeIo;
  readonly #space: IoSpace;
  readonly #device: string;
  readonly #logger: Logger;
  readonly #observers: readonly MappingObserver[];
  /** Files that came without an address and were mapped here. */
  readonly #own = new Map<DmaEntry, MappedMemory>();
  readonly #pending = new Map<DmaEntry, Promise<void>>();
  /** Ranges that the kernel does not know: they came without memory. */
  readonly #holes = new WeakSet<DmaEntry>();

  constructor(parts: {
    readonly io: NativeIo;
    readonly space: IoSpace;
    readonly device: string;
    readonly logger: Logger;
    readonly observers: readonly MappingObserver[];
  }) {
    this.#io = parts.io;
    this.#space = parts.space;
    this.#device = parts.device;
    this.#logger = parts.logger;
    this.#observers = parts.observers;
    this.map = createDmaMap(parts.space.windows);
  }

  /** @throws VfmigError `ERR_VFMIG_DMA_MAP`, `ERR_VFMIG_VFIO_MEMLOCK`, `ERR_VFMIG_VFIO_CALL` */
  add(mapping: DmaMapping): void | Promise<void> {
    const entry = this.map.add(mapping, false);
    try {
      const wanted = this.#forKernel(entry);
      if (wanted === undefined) return this.#takeHole(entry);
      if (wanted.size < LATER) {
        this.#space.map(wanted);
        return this.#mapped(entry);
      }
      return this.#addLater(entry, wanted);
    } catch (error) {
      this.#forget(entry);
      throw this.#refused(mapping, error);
    }
  }

  /** @throws VfmigError `ERR_VFMIG_DMA_UNMAP` for what is not exactly one mapping */
  remove(range: IovaRange): void | Promise<void> {
    const entry = this.map.exact(range);
    const pending = this.#pending.get(entry);
    if (pending !== undefined) return pending.catch(() => {}).then(() => this.remove(range));
    if (this.#holes.has(entry)) return this.#forget(entry);
    for (const observer of this.#observers) observer.unmapping(range);
    const { iova, size } = range;
    if (size < LATER) {
      this.#check(range, this.#space.unmap(iova, size));
      return this.#forget(entry);
    }
    return this.#removeLater(entry, range);
  }

  /** Unmaps everything, and goes on where some of it cannot be; throws the first failure. */
  async removeAll(): Promise<void> {
    let failure: unknown;
    for (const mapping of Array.from(this.map.entries, (entry) => entry.mapping)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- the kernel does one after the other anyway
        await this.remove({ iova: mapping.iova, size: mapping.size });
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** True for a range that is in the kernel's page tables. */
  inKernel(entry: DmaEntry): boolean {
    return entry.usable && !this.#holes.has(entry);
  }

  async #addLater(entry: DmaEntry, wanted: KernelMapping): Promise<void> {
    const done = this.#space.mapLater(wanted).then(
      () => this.#mapped(entry),
      (error: unknown) => {
        this.#forget(entry);
        throw this.#refused(entry.mapping, error);
      },
    );
    this.#pending.set(entry, done);
    try {
      await done;
    } finally {
      this.#pending.delete(entry);
    }
  }

  async #removeLater(entry: DmaEntry, range: IovaRange): Promise<void> {
    // The range stays taken until the kernel has let go of it.
    this.#check(range, await this.#space.unmapLater(range.iova, range.size));
    this.#forget(entry);
  }

  #forKernel(entry: DmaEntry): KernelMapping | undefined {
    const { iova, size, read, write, memory } = entry.mapping;
    if (memory === undefined) return undefined;
    this.#checkAlignment(entry);
    if (memory.address !== undefined) return { iova, size, read, write, address: memory.address };
    if (memory.fd === undefined) {
      throw refuse(
        entry.mapping,
        this.#device,
        "its memory has neither an address nor a file, which only a model of a device can use",
      );
    }
    const own = this.#io.mmap(memory.fd, Number(size), { offset: memory.fdOffset ?? 0n, write });
    this.#own.set(entry, own);
    return { iova, size, read, write, address: own.address };
  }

  #checkAlignment({ mapping }: DmaEntry): void {
    const page = BigInt(this.#space.pageSize);
    const { iova, size, memory } = mapping;
    const wrong = [iova, size, memory?.address ?? 0n].some((value) => value % page !== 0n);
    if (!wrong) return;
    throw refuse(
      mapping,
      this.#device,
      `address, size and memory must be multiples of ${page}, the IOMMU's page size`,
    );
  }

  #takeHole(entry: DmaEntry): void {
    this.#holes.add(entry);
    entry.usable = true;
    const { iova, size } = entry.mapping;
    this.#logger.debug(
      `${this.#device} cannot reach memory that came without a file; its DMA there fails.`,
      { iova: `0x${iova.toString(16)}`, size: Number(size) },
    );
  }

  #mapped(entry: DmaEntry): void {
    entry.usable = true;
    for (const observer of this.#observers) observer.mapped(entry.mapping);
  }

  #forget(entry: DmaEntry): void {
    this.map.remove(entry);
    const own = this.#own.get(entry);
    this.#own.delete(entry);
    own?.[Symbol.dispose]();
  }

  /** A kernel that unmapped less leaves memory in the device's reach. */
  #check(range: IovaRange, unmapped: bigint): void {
    if (unmapped === range.size) return;
    throw baseFault(
      "ERR_VFMIG_VFIO_ANSWER",
      `The kernel unmapped ${unmapped} bytes of ${range.size} at 0x${range.iova.toString(16)} for ${this.#device}, which may still write there. Close the device: that takes everything away from it.`,
      { device: this.#device, iova: range.iova, size: range.size, unmapped },
    );
  }

  #refused(mapping: DmaMapping, error: unknown): unknown {
    const errno = refusedWith(error);
    if (errno === "ENOMEM") return memlockFault(this.#io, this.#device, mapping, error);
    const why = errno === undefined ? undefined : REFUSALS[errno];
    return why === undefined ? error : refuse(mapping, this.#device, why, errno, error);
  }
}

/** What the kernel means by the errnos of a mapping (`vfio_iommu_type1.c`, `iommufd/io_pagetable.c`). */
const REFUSALS: Readonly<Record<string, string>> = {
  EINVAL: "the kernel cannot map it there (a reserved address, or memory that cannot be pinned)",
  EEXIST: "the kernel has a mapping there already",
  EADDRINUSE: "the address is reserved",
  ENOSPC: "the kernel has no room for another mapping (vfio_iommu_type1.dma_entry_limit)",
  EFAULT: "its memory cannot be pinned: it is gone, or mapped read-only and to be written",
  E2BIG: "it is larger than the kernel maps",
};

function refuse(
  mapping: DmaMapping,
  device: string,
  why: string,
  errno = "EINVAL",
  cause?: unknown,
): Error {
  const range = `0x${mapping.iova.toString(16)}+0x${mapping.size.toString(16)}`;
  return baseFault(
    "ERR_VFMIG_DMA_MAP",
    `Cannot map ${range} for ${device}: ${why}. Nothing was mapped.`,
    { device, mapping: range, errno },
    cause,
  );
}

function memlockFault(io: NativeIo, device: string, mapping: DmaMapping, cause: unknown): Error {
  const limit = io.memoryLockLimit();
  return baseFault(
    "ERR_VFMIG_VFIO_MEMLOCK",
    `${mapping.size} bytes of guest memory could not be pinned for ${device} (ENOMEM): this process may lock ${limit} bytes in all. Let the host raise the limit (root, or CAP_SYS_RESOURCE), or start it with LimitMEMLOCK=infinity.`,
    { device, size: mapping.size, limit, errno: "ENOMEM" },
    cause,
  );
}
