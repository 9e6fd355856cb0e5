import type { FakeDevice } from "@vfmig/linux/fake";
import type { IoctlPointer } from "@vfmig/linux";
import { IOMMUFD } from "../../uapi/commands.ts";
import { no, taken } from "./errno.ts";
import { IoPages, WINDOWS } from "./io-pages.ts";
import type { Trace } from "./trace.ts";

interface PageTable {
  readonly kind: "hwpt";
  readonly pages: IoPages;
  readonly ioas: number;
  logging: boolean;
}

interface Ioas {
  readonly kind: "ioas";
  readonly pages: IoPages;
}

/** An opening of `/dev/iommu` (`drivers/iommu/iommufd`). */
export class FakeIommufd implements FakeDevice {
  readonly objects = new Map<number, Ioas | PageTable>();
  /** Tables in use, by device id. */
  readonly attached = new Map<number, number>();
  /** Ids of bound devices that have an IOMMU. */
  readonly devices = new Set<number>();
  readonly #trace: Trace;
  readonly #limit: () => bigint;
  readonly #dirtyTracking: boolean;
  #next = 1;

  constructor(trace: Trace, limit: () => bigint, dirtyTracking: boolean) {
    this.#trace = trace;
    this.#limit = limit;
    this.#dirtyTracking = dirtyTracking;
  }

  newId(): number {
    return this.#next++;
  }

  attach(deviceId: number, table: number): number {
    const found = this.objects.get(table);
    if (found === undefined) return no("ENOENT");
    this.attached.set(deviceId, table);
    return 0;
  }

  pagesOf(deviceId: number): IoPages | undefined {
    return this.objects.get(this.attached.get(deviceId) ?? -1)?.pages;
  }

  ioctl(request: number, argument: Uint8Array | number, pointers: readonly IoctlPointer[]): number {
    this.#trace.note("iommufd", request);
    const view = taken(argument, LEAST.get(request) ?? 4);
    if (!LEAST.has(request)) return no("ENOTTY");
    if (view === undefined) return no("EINVAL");
    switch (request) {
      case IOMMUFD.IOAS_ALLOC.number: {
        if (view.getUint32(4, true) !== 0) return no("EOPNOTSUPP");
        const id = this.newId();
        this.objects.set(id, { kind: "ioas", pages: new IoPages(this.#limit) });
        view.setUint32(8, id, true);
        return 0;
      }
      case IOMMUFD.DESTROY.number:
        return this.#destroy(view.getUint32(4, true));
      case IOMMUFD.IOAS_IOVA_RANGES.number:
        return this.#ranges(view, pointers);
      case IOMMUFD.IOAS_MAP.number:
        return this.#map(view);
      case IOMMUFD.IOAS_UNMAP.number:
        return this.#unmap(view);
      case IOMMUFD.GET_HW_INFO.number:
        if (!this.devices.has(view.getUint32(8, true))) return no("ENOENT");
        view.setUint32(24, 1, true);
        view.setBigUint64(32, this.#dirtyTracking ? 1n : 8n, true);
        return 0;
      case IOMMUFD.HWPT_ALLOC.number:
        return this.#allocTable(view);
      case IOMMUFD.HWPT_SET_DIRTY_TRACKING.number:
        return this.#setTracking(view);
      default:
        return this.#dirty(view, pointers);
    }
  }

  #ioas(id: number): Ioas | undefined {
    const found = this.objects.get(id);
    return found?.kind === "ioas" ? found : undefined;
  }

  #destroy(id: number): number {
    const found = this.objects.get(id);
    if (found === undefined) return no("ENOENT");
    const used = [...this.attached.values()].includes(id);
    const parent = [...this.objects.values()].some(
      (each) => each.kind === "hwpt" && each.ioas === id,
    );
    if (used || parent) return no("EBUSY");
    this.objects.delete(id);
    return 0;
  }

  #ranges(view: DataView, pointers: readonly IoctlPointer[]): number {
    if (this.#ioas(view.getUint32(4, true)) === undefined) return no("ENOENT");
    if (view.getUint32(12, true) !== 0) return no("EOPNOTSUPP");
    const room = view.getUint32(8, true);
    view.setUint32(8, WINDOWS.length, true);
    view.setBigUint64(24, 4096n, true);
    const list = pointers.find(({ at }) => at === 16)?.memory;
    if (room > 0 && (list === undefined || list.length < room * 16)) return no("EFAULT");
    if (room < WINDOWS.length || list === undefined) return no("EMSGSIZE");
    const out = new DataView(list.buffer, list.byteOffset);
    for (const [i, { first, last }] of WINDOWS.entries()) {
      out.setBigUint64(i * 16, first, true);
      out.setBigUint64(i * 16 + 8, last, true);
    }
    return 0;
  }

  #map(view: DataView): number {
    const flags = view.getUint32(4, true);
    if ((flags & ~7) !== 0 || view.getUint32(12, true) !== 0) return no("EOPNOTSUPP");
    const ioas = this.#ioas(view.getUint32(8, true));
    if (ioas === undefined) return no("ENOENT");
    const page = {
      iova: view.getBigUint64(32, true),
      size: view.getBigUint64(24, true),
      read: (flags & 4) !== 0,
      write: (flags & 2) !== 0,
    };
    return ioas.pages.map(page, view.getBigUint64(16, true));
  }

  #unmap(view: DataView): number {
    const ioas = this.#ioas(view.getUint32(4, true));
    if (ioas === undefined) return no("ENOENT");
    const unmapped = ioas.pages.unmap(view.getBigUint64(8, true), view.getBigUint64(16, true));
    if (unmapped === undefined || unmapped === 0n) return no("ENOENT");
    view.setBigUint64(16, unmapped, true);
    return 0;
  }

  #allocTable(view: DataView): number {
    const ioas = this.#ioas(view.getUint32(12, true));
    if (ioas === undefined || !this.devices.has(view.getUint32(8, true))) return no("ENOENT");
    if ((view.getUint32(4, true) & 2) !== 0 && !this.#dirtyTracking) return no("EOPNOTSUPP");
    const id = this.newId();
    const parent = view.getUint32(12, true);
    this.objects.set(id, { kind: "hwpt", pages: ioas.pages, ioas: parent, logging: false });
    view.setUint32(16, id, true);
    return 0;
  }

  #setTracking(view: DataView): number {
    const table = this.objects.get(view.getUint32(8, true));
    if (table?.kind !== "hwpt") return no("ENOENT");
    table.logging = (view.getUint32(4, true) & 1) !== 0;
    if (table.logging) table.pages.dirty.clear();
    return 0;
  }

  #dirty(view: DataView, pointers: readonly IoctlPointer[]): number {
    const table = this.objects.get(view.getUint32(4, true));
    if (table?.kind !== "hwpt") return no("ENOENT");
    const iova = view.getBigUint64(16, true);
    const size = view.getBigUint64(24, true);
    const grain = view.getBigUint64(32, true);
    if (grain === 0n || size === 0n || iova % 4096n !== 0n || size % 4096n !== 0n)
      return no("EINVAL");
    if (iova % grain !== 0n || (iova + size) % grain !== 0n || !table.logging) return no("EINVAL");
    // The whole range has to be mapped.
    for (let at = iova; at < iova + size;) {
      const page = table.pages.entries.find(
        (each) => each.iova <= at && at < each.iova + each.size,
      );
      if (page === undefined) return no("EINVAL");
      at = page.iova + page.size;
    }
    const bitmap = pointers.find(({ at }) => at === 40)?.memory;
    const bits = Number(size / grain);
    if (bitmap === undefined || bitmap.length < Math.ceil(bits / 64) * 8) return no("EFAULT");
    for (const page of table.pages.dirty) {
      const at = page * 4096n;
      if (at < iova || at >= iova + size) continue;
      const bit = Number((at - iova) / grain);
      bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
      table.pages.dirty.delete(page);
    }
    return 0;
  }
}

/** Smallest structures that iommufd takes. */
const LEAST: ReadonlyMap<number, number> = new Map([
  [IOMMUFD.DESTROY.number, 8],
  [IOMMUFD.IOAS_ALLOC.number, 12],
  [IOMMUFD.IOAS_IOVA_RANGES.number, 32],
  [IOMMUFD.IOAS_MAP.number, 40],
  [IOMMUFD.IOAS_UNMAP.number, 24],
  [IOMMUFD.HWPT_ALLOC.number, 24],
  [IOMMUFD.GET_HW_INFO.number, 32],
  [IOMMUFD.HWPT_SET_DIRTY_TRACKING.number, 16],
  [IOMMUFD.HWPT_GET_DIRTY_BITMAP.number, 48],
]);
