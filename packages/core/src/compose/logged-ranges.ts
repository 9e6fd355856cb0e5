import type { IovaRange } from "../device/dma.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { describeRange, DMA_PAGE_SIZE, IOVA_LIMIT } from "../memory/dma-map.ts";

/** Most ranges of one log, as the kernel's `LOG_MAX_RANGES`. */
export const LOGGED_RANGES_MAX = 256;

/** Everything that a device can address. */
const EVERYTHING: IovaRange = { iova: 0n, size: IOVA_LIMIT };

/**
 * The ranges that a log covers; none given means everything.
 * @throws VfmigError `ERR_VFMIG_DMA_LOGGING_REQUEST`
 */
export function checkLoggedRanges(
  ranges: readonly IovaRange[],
  pageSize: number,
): readonly IovaRange[] {
  checkLogPageSize(pageSize);
  if (ranges.length === 0) return [EVERYTHING];
  if (ranges.length > LOGGED_RANGES_MAX) {
    throw loggingError(`${ranges.length} ranges are more than ${LOGGED_RANGES_MAX}`, "E2BIG");
  }
  const page = BigInt(pageSize);
  for (const range of ranges) {
    checkLogRange(range);
    if (range.iova % page !== 0n || range.size % page !== 0n) {
      throw loggingError(`${describeRange(range)} is not aligned to ${pageSize} bytes`);
    }
  }
  const sorted = ranges.toSorted((a, b) => (a.iova < b.iova ? -1 : 1));
  sorted.reduce((before, range) => {
    if (before.iova + before.size <= range.iova) return range;
    throw loggingError(`${describeRange(before)} and ${describeRange(range)} overlap`);
  });
  return ranges;
}

/** @throws VfmigError `ERR_VFMIG_DMA_LOGGING_REQUEST` */
export function checkLogRange(range: IovaRange): void {
  const { iova, size } = range;
  if (typeof iova !== "bigint" || typeof size !== "bigint" || iova < 0n || size <= 0n) {
    throw loggingError(`${describeRange(range)} is no range with at least one byte`);
  }
  if (iova + size > IOVA_LIMIT) {
    throw loggingError(`${describeRange(range)} ends above 2^52`, "EOVERFLOW");
  }
}

/** @throws VfmigError `ERR_VFMIG_DMA_LOGGING_REQUEST` */
export function checkLogPageSize(pageSize: number): void {
  if (isPageSize(pageSize)) return;
  throw loggingError(
    `page size ${String(pageSize)} is no power of two from ${DMA_PAGE_SIZE} to 2^52`,
  );
}

/** True for a power of two from 4096 to 2^52. */
export function isPageSize(pageSize: unknown): pageSize is number {
  return (
    typeof pageSize === "number" &&
    Number.isSafeInteger(pageSize) &&
    pageSize >= DMA_PAGE_SIZE &&
    2 ** Math.round(Math.log2(pageSize)) === pageSize
  );
}

/** The refusal of a request to the log. */
export function loggingError(why: string, errno = "EINVAL"): VfmigError {
  return new VfmigError("ERR_VFMIG_DMA_LOGGING_REQUEST", `Log of device writes: ${why}.`, {
    layer: "core",
    details: { errno },
  });
}
