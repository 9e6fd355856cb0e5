import type { IoctlPointer } from "@vfmig/linux";
import { no } from "./errno.ts";

/** A device's own log of its writes, as `vfio_main.c` checks it and a driver keeps it. */
export class WriteLog {
  #ranges: { readonly iova: bigint; readonly size: bigint }[] | undefined;
  readonly #dirty = new Set<bigint>();
  /** Set by a tracker that lost its memory. */
  broken = false;

  /** The device wrote to a page. */
  write(iova: bigint): void {
    const logged = this.#ranges?.some((each) => each.iova <= iova && iova < each.iova + each.size);
    if (logged === true) this.#dirty.add(iova / 4096n);
  }

  get ranges(): number {
    return this.#ranges?.length ?? 0;
  }

  reset(): void {
    this.#ranges = undefined;
    this.#dirty.clear();
  }

  /** @param view the request from its data on */
  start(view: DataView, pointers: readonly IoctlPointer[], pointerAt: number): number {
    const grain = view.getBigUint64(0, true);
    const count = view.getUint32(8, true);
    if (count === 0) return no("EINVAL");
    if (count > 256) return no("E2BIG");
    const list = pointers.find(({ at }) => at === pointerAt)?.memory;
    if (list === undefined || list.length < count * 16) return no("EFAULT");
    if (this.#ranges !== undefined) return no("EINVAL");
    const from = new DataView(list.buffer, list.byteOffset);
    const ranges = Array.from({ length: count }, (_, i) => ({
      iova: from.getBigUint64(i * 16, true),
      size: from.getBigUint64(i * 16 + 8, true),
    }));
    if (ranges.some(({ iova, size }) => iova % grain !== 0n || size % grain !== 0n))
      return no("EINVAL");
    const overlap = ranges.some((one, i) =>
      ranges.some(
        (other, j) =>
          i !== j && one.iova < other.iova + other.size && other.iova < one.iova + one.size,
      ),
    );
    if (overlap) return no("EINVAL");
    this.#ranges = ranges;
    this.#dirty.clear();
    view.setBigUint64(0, 4096n, true);
    return 0;
  }

  stop(): number {
    if (this.#ranges === undefined) return no("EINVAL");
    this.reset();
    return 0;
  }

  report(view: DataView, pointers: readonly IoctlPointer[], pointerAt: number): number {
    const iova = view.getBigUint64(0, true);
    const size = view.getBigUint64(8, true);
    const grain = view.getBigUint64(16, true);
    if (grain < 4096n || (grain & (grain - 1n)) !== 0n) return no("EINVAL");
    if (this.#ranges === undefined || this.broken) return no("EINVAL");
    const bitmap = pointers.find(({ at }) => at === pointerAt)?.memory;
    const bits = Number((size + grain - 1n) / grain);
    if (bitmap === undefined || bitmap.length < Math.ceil(bits / 64) * 8) return no("EFAULT");
    for (const page of this.#dirty) {
      const at = page * 4096n;
      if (at < iova || at >= iova + size) continue;
      const bit = Number((at - iova) / grain);
      bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
      this.#dirty.delete(page);
    }
    return 0;
  }
}
