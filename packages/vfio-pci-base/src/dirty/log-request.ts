import type { IovaRange } from "@vfmig/core";
import { baseFault } from "../kernel-calls.ts";

/** A report as it was asked for, with addresses as numbers. */
export interface LogRequest {
  readonly first: number;
  /** Exclusive. */
  readonly end: number;
  readonly pageSize: number;
  readonly bitmap: Uint8Array;
}

/** @throws VfmigError `ERR_VFMIG_DMA_LOGGING_REQUEST` */
export function checkLogRequest(
  device: string,
  range: IovaRange,
  pageSize: number,
  bitmap: Uint8Array,
): LogRequest {
  const first = Number(range.iova);
  const end = first + Number(range.size);
  const fail = (why: string): Error =>
    baseFault(
      "ERR_VFMIG_DMA_LOGGING_REQUEST",
      `The log of the writes of ${device} cannot be read for 0x${range.iova.toString(16)}+0x${range.size.toString(16)}: ${why}.`,
      { device, iova: range.iova, size: range.size, pageSize, errno: "EINVAL" },
    );
  if (range.iova < 0n || range.size <= 0n || end > 2 ** 52)
    throw fail("it is not inside [0, 2^52)");
  const power =
    Number.isSafeInteger(pageSize) && pageSize >= 1 && Number.isInteger(Math.log2(pageSize));
  if (!power || pageSize > 2 ** 52) throw fail(`${pageSize} is no page size`);
  const pages = Math.ceil((end - first) / pageSize);
  if (bitmap.length * 8 < pages) {
    throw fail(
      `its ${pages} pages need ${Math.ceil(pages / 8)} bytes of bitmap, not ${bitmap.length}`,
    );
  }
  return { first, end, pageSize, bitmap };
}

/** The bytes that a request and a range share. */
export function clip(
  { first, end }: LogRequest,
  range: IovaRange,
): { readonly from: number; readonly to: number } | undefined {
  const from = Math.max(first, Number(range.iova));
  const to = Math.min(end, Number(range.iova + range.size));
  return from < to ? { from, to } : undefined;
}
