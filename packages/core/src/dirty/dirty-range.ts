import { VfmigError } from "../errors/vfmig-error.ts";

/** IOVAs are below this, in bytes. */
export const ADDRESS_LIMIT: number = 2 ** 52;

/** A stretch of IOVA space in bytes, as the API has it or as hot loops do. */
export interface DirtyRange {
  readonly iova: bigint | number;
  readonly size: bigint | number;
}

export function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
}

/**
 * First byte and the byte behind the last.
 * @throws VfmigError `ERR_VFMIG_DIRTY_ADDRESS` where it is not inside `[0, 2^52)`
 */
export function boundsOf(range: DirtyRange): { readonly first: number; readonly end: number } {
  // A bigint beyond 2^53 is rounded, and stays beyond the limit.
  const first = Number(range.iova);
  const size = Number(range.size);
  if (Number.isSafeInteger(first) && Number.isSafeInteger(size) && first >= 0 && size >= 0) {
    if (first + size <= ADDRESS_LIMIT) return { first, end: first + size };
  }
  throw addressError(range.iova, range.size);
}

/**
 * What one report asks for, checked.
 * @throws VfmigError `ERR_VFMIG_DIRTY_RANGE`, `ERR_VFMIG_DIRTY_ADDRESS`
 */
export function checkReport(
  range: DirtyRange,
  pageSize: number,
  bitmap: Uint8Array,
): { readonly first: number; readonly end: number; readonly pages: number } {
  const { first, end } = boundsOf(range);
  const what = `Dirty report of [${first}, ${end}) in pages of ${pageSize} bytes: `;
  const details = { iova: first, size: end - first, pageSize, bitmapBytes: bitmap.length };
  const fail = (why: string): VfmigError =>
    new VfmigError("ERR_VFMIG_DIRTY_RANGE", what + why, { layer: "core", details });
  if (!isPowerOfTwo(pageSize) || pageSize > ADDRESS_LIMIT) {
    throw fail("the page size is not a power of two up to 2^52");
  }
  if (first % pageSize !== 0 || end % pageSize !== 0) {
    throw fail("begin and size must be multiples of the page size");
  }
  if (first === end) throw fail("the range is empty");
  const pages = (end - first) / pageSize;
  if (bitmap.length * 8 < pages) {
    throw fail(`${pages} bits are needed, the bitmap has ${bitmap.length * 8}`);
  }
  return { first, end, pages };
}

export function addressError(iova: unknown, size: unknown): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_DIRTY_ADDRESS",
    `Dirty bitmap: ${String(size)} bytes at ${String(iova)} are not inside [0, 2^52). ` +
      "Treat all memory as dirty, and check the address where it came from",
    { layer: "core", details: { iova, size } },
  );
}
