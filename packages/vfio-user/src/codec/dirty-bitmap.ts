import { refusal } from "./errno.ts";
import { readU64 } from "./wire.ts";

/** Largest page that anybody tracks (1 GiB), and the smallest (4 KiB, as the kernel has it). */
const MAX_PAGE = 0x4000_0000;
const MIN_PAGE = 4096;

/** Bytes of a bitmap over `size` bytes of memory: whole 64-bit words. */
export function bitmapBytes(size: bigint, pageSize: number): number {
  const pages = (size + BigInt(pageSize) - 1n) / BigInt(pageSize);
  return Number((pages + 63n) / 64n) * 8;
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` for a page size that nobody tracks */
export function readPageSize(view: DataView, at: number): number {
  const pageSize = readU64(view, at);
  if (pageSize < MIN_PAGE || pageSize > MAX_PAGE || (pageSize & (pageSize - 1)) !== 0) {
    throw refusal("EINVAL", `dirty pages: ${pageSize} is no power of two from 4 KiB to 1 GiB`, {
      pageSize,
    });
  }
  return pageSize;
}
