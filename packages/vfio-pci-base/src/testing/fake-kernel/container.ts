import type { FakeDevice } from "@vfmig/linux/fake";
import { CONTAINER } from "../../uapi/commands.ts";
import { no, taken } from "./errno.ts";
import { WINDOWS, type IoPages } from "./io-pages.ts";
import type { Trace } from "./trace.ts";

/** An opening of `/dev/vfio/vfio` with type1 v2 (`vfio_iommu_type1.c`). */
export class FakeContainer implements FakeDevice {
  readonly pages: IoPages;
  readonly #trace: Trace;
  readonly #settings: { readonly oldKernel: boolean; readonly interruptRemapping: boolean };
  groups = 0;
  iommu = false;

  constructor(
    pages: IoPages,
    trace: Trace,
    settings: { readonly oldKernel: boolean; readonly interruptRemapping: boolean },
  ) {
    this.pages = pages;
    this.#trace = trace;
    this.#settings = settings;
  }

  ioctl(request: number, argument: Uint8Array | number): number {
    this.#trace.note("container", request);
    switch (request) {
      case CONTAINER.GET_API_VERSION.number:
        return 0;
      case CONTAINER.CHECK_EXTENSION.number:
        return argument === 1 || argument === 3 ? 1 : 0;
      case CONTAINER.SET_IOMMU.number:
        return this.#setIommu(argument);
      case CONTAINER.GET_INFO.number:
        return this.#info(argument);
      case CONTAINER.MAP_DMA.number:
        return this.#map(argument);
      case CONTAINER.UNMAP_DMA.number:
        return this.#unmap(argument);
      default:
        return no("ENOTTY");
    }
  }

  closed(): void {
    this.pages.entries.length = 0;
  }

  #setIommu(type: Uint8Array | number): number {
    if (this.groups === 0 || this.iommu) return no("EINVAL");
    if (type !== 3) return no("ENODEV");
    if (!this.#settings.interruptRemapping) return no("EPERM");
    this.iommu = true;
    return 0;
  }

  #info(argument: Uint8Array | number): number {
    const view = taken(argument, 16);
    if (!this.iommu || view === undefined) return no("EINVAL");
    const room = view.getUint32(0, true);
    view.setUint32(4, 1, true);
    view.setBigUint64(8, 0x4020_1000n, true);
    if (this.#settings.oldKernel) return 0;
    const ranges = 16 + WINDOWS.length * 16;
    const all = 24 + ranges + 16;
    view.setUint32(0, all, true);
    view.setUint32(4, 3, true);
    if (room < all) {
      view.setUint32(16, 0, true);
      return 0;
    }
    view.setUint32(16, 24, true);
    view.setUint16(24, 1, true);
    view.setUint16(26, 1, true);
    view.setUint32(28, 24 + ranges, true);
    view.setUint32(32, WINDOWS.length, true);
    for (const [i, { first, last }] of WINDOWS.entries()) {
      view.setBigUint64(40 + i * 16, first, true);
      view.setBigUint64(48 + i * 16, last, true);
    }
    view.setUint16(24 + ranges, 3, true);
    view.setUint32(28 + ranges, 0, true);
    view.setUint32(32 + ranges, this.pages.most - this.pages.entries.length, true);
    return 0;
  }

  #map(argument: Uint8Array | number): number {
    const view = taken(argument, 32);
    if (!this.iommu || view === undefined) return no("EINVAL");
    const flags = view.getUint32(4, true);
    if ((flags & ~3) !== 0) return no("EINVAL");
    const page = {
      iova: view.getBigUint64(16, true),
      size: view.getBigUint64(24, true),
      read: (flags & 1) !== 0,
      write: (flags & 2) !== 0,
    };
    return this.pages.map(page, view.getBigUint64(8, true));
  }

  #unmap(argument: Uint8Array | number): number {
    const view = taken(argument, 24);
    if (!this.iommu || view === undefined) return no("EINVAL");
    if (view.getUint32(4, true) !== 0) return no("EINVAL");
    const size = view.getBigUint64(16, true);
    if (size === 0n) return no("EINVAL");
    const unmapped = this.pages.unmap(view.getBigUint64(8, true), size);
    if (unmapped === undefined) return no("EINVAL");
    view.setBigUint64(16, unmapped, true);
    return 0;
  }
}
