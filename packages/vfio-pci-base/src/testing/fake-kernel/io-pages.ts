import { no } from "./errno.ts";

export interface Page {
  readonly iova: bigint;
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
}

/** Addresses under an Intel IOMMU: 48 bits without the window of interrupt messages. */
export const WINDOWS: readonly { readonly first: bigint; readonly last: bigint }[] = [
  { first: 0n, last: 0xfedf_ffffn },
  { first: 0xfef0_0000n, last: (1n << 48n) - 1n },
];

/** What is mapped for a device, and pinned; the container and the iommufd both keep one. */
export class IoPages {
  readonly entries: Page[] = [];
  readonly dirty = new Set<bigint>();
  readonly #limit: () => bigint;
  /** Mappings that there may be at most. */
  most = 65_535;

  constructor(limit: () => bigint) {
    this.#limit = limit;
  }

  map(page: Page, address: bigint): number {
    const { iova, size } = page;
    if (size === 0n || [iova, size, address].some((value) => value % 4096n !== 0n))
      return no("EINVAL");
    if (!page.read && !page.write) return no("EINVAL");
    const last = iova + size - 1n;
    if (!WINDOWS.some((window) => window.first <= iova && last <= window.last)) return no("EINVAL");
    if (this.entries.some((each) => each.iova <= last && iova < each.iova + each.size))
      return no("EEXIST");
    if (this.entries.length >= this.most) return no("ENOSPC");
    const pinned = this.entries.reduce((sum, each) => sum + each.size, 0n);
    if (pinned + size > this.#limit()) return no("ENOMEM");
    this.entries.push(page);
    return 0;
  }

  /** Bytes that were unmapped; undefined where a mapping would be cut. */
  unmap(iova: bigint, size: bigint): bigint | undefined {
    const end = iova + size;
    const hit = this.entries.filter((each) => each.iova < end && iova < each.iova + each.size);
    if (hit.some((each) => each.iova < iova || each.iova + each.size > end)) return undefined;
    for (const each of hit) this.entries.splice(this.entries.indexOf(each), 1);
    return hit.reduce((sum, each) => sum + each.size, 0n);
  }

  /** The device writes to `iova`: false where it may not, which is an IOMMU fault. */
  write(iova: bigint): boolean {
    const page = this.entries.find((each) => each.iova <= iova && iova < each.iova + each.size);
    if (page === undefined || !page.write) return false;
    this.dirty.add(iova / 4096n);
    return true;
  }
}
