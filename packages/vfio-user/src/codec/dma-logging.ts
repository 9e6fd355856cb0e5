import type { DmaLoggingStart, IovaRange } from "@vfmig/core";
import { bitmapBytes, readPageSize } from "./dirty-bitmap.ts";
import { describeRange } from "./dma.ts";
import { refusal } from "./errno.ts";
import { needPayload, writeU64 } from "./wire.ts";

/** Data of feature DMA_LOGGING_START, in bytes. */
export const LOGGING_START = {
  PAGE_SIZE: 0,
  NUM_RANGES: 8,
  RANGES: 16,
  RANGE_BYTES: 16,
  BYTES: 16,
} as const;
/** Data of feature DMA_LOGGING_REPORT, in bytes. */
export const LOGGING_REPORT = { IOVA: 0, LENGTH: 8, PAGE_SIZE: 16, BITMAP: 24, BYTES: 24 } as const;

/** As many ranges as the kernel takes (`LOG_MAX_RANGES`, one page of them). */
export const MAX_LOGGING_RANGES = 256;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

export interface DmaLoggingReportRequest {
  readonly range: IovaRange;
  readonly pageSize: number;
  /** ceil(pages / 64) times 8. */
  readonly bitmapBytes: number;
}

export function writeLoggingStart(view: DataView, at: number, request: DmaLoggingStart): number {
  writeU64(view, at + LOGGING_START.PAGE_SIZE, request.pageSize);
  view.setUint32(at + LOGGING_START.NUM_RANGES, request.ranges.length, true);
  view.setUint32(at + LOGGING_START.NUM_RANGES + 4, 0, true);
  let cursor = at + LOGGING_START.RANGES;
  for (const range of request.ranges) {
    view.setBigUint64(cursor, range.iova, true);
    view.setBigUint64(cursor + 8, range.size, true);
    cursor += LOGGING_START.RANGE_BYTES;
  }
  return LOGGING_START.BYTES + request.ranges.length * LOGGING_START.RANGE_BYTES;
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` */
export function readLoggingStart(view: DataView, at: number, length: number): DmaLoggingStart {
  needPayload("feature DMA_LOGGING_START", length, LOGGING_START.BYTES);
  const pageSize = readPageSize(view, at + LOGGING_START.PAGE_SIZE);
  const count = view.getUint32(at + LOGGING_START.NUM_RANGES, true);
  if (count > MAX_LOGGING_RANGES) {
    throw refusal(
      "E2BIG",
      `DMA_LOGGING_START: ${count} ranges; the limit is ${MAX_LOGGING_RANGES}`,
      {
        count,
      },
    );
  }
  needPayload(
    "feature DMA_LOGGING_START",
    length,
    LOGGING_START.BYTES + count * LOGGING_START.RANGE_BYTES,
  );
  const ranges: IovaRange[] = [];
  for (let i = 0; i < count; i += 1) {
    ranges.push(readRange(view, at + LOGGING_START.RANGES + i * LOGGING_START.RANGE_BYTES));
  }
  return { pageSize, ranges };
}

/** The granted page size that a server wrote into its reply. */
export function readGrantedPageSize(view: DataView, at: number, length: number): number {
  needPayload("reply to DMA_LOGGING_START", length, LOGGING_START.BYTES);
  return readPageSize(view, at + LOGGING_START.PAGE_SIZE);
}

export function writeLoggingReport(
  view: DataView,
  at: number,
  range: IovaRange,
  pageSize: number,
): number {
  view.setBigUint64(at + LOGGING_REPORT.IOVA, range.iova, true);
  view.setBigUint64(at + LOGGING_REPORT.LENGTH, range.size, true);
  writeU64(view, at + LOGGING_REPORT.PAGE_SIZE, pageSize);
  return LOGGING_REPORT.BYTES;
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`, also for a bitmap beyond `limit` bytes */
export function readLoggingReport(
  view: DataView,
  at: number,
  length: number,
  limit: number,
): DmaLoggingReportRequest {
  needPayload("feature DMA_LOGGING_REPORT", length, LOGGING_REPORT.BYTES);
  const range = readRange(view, at + LOGGING_REPORT.IOVA);
  const pageSize = readPageSize(view, at + LOGGING_REPORT.PAGE_SIZE);
  const bytes = bitmapBytes(range.size, pageSize);
  if (bytes > limit) {
    throw refusal(
      "E2BIG",
      `DMA_LOGGING_REPORT of ${describeRange(range)} needs a bitmap of ${bytes} bytes; the limit is ${limit}`,
      { bytes, limit },
    );
  }
  return { range, pageSize, bitmapBytes: bytes };
}

function readRange(view: DataView, at: number): IovaRange {
  const range = { iova: view.getBigUint64(at, true), size: view.getBigUint64(at + 8, true) };
  if (range.size === 0n || range.size - 1n > LAST_ADDRESS - range.iova) {
    throw refusal("EINVAL", `DMA logging: ${describeRange(range)} is empty or passes 2^64`, {
      ...range,
    });
  }
  return range;
}
