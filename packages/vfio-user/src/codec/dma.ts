import type { IovaRange } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { bitmapBytes, readPageSize } from "./dirty-bitmap.ts";
import { exactPayload, needArgsz, needPayload, readU64, writeU64 } from "./wire.ts";

/** `VFIO_USER_DMA_MAP`: offsets in the payload, in bytes. */
export const DMA_MAP = { ARGSZ: 0, FLAGS: 4, OFFSET: 8, ADDRESS: 16, SIZE: 24, BYTES: 32 } as const;
/** `VFIO_USER_DMA_UNMAP`: offsets in the payload, in bytes. */
export const DMA_UNMAP = { ARGSZ: 0, FLAGS: 4, ADDRESS: 8, SIZE: 16, BYTES: 24 } as const;
/** `struct vfio_bitmap` behind an unmap that asks for dirty pages: offsets in the payload, in bytes. */
export const DMA_UNMAP_BITMAP = { PAGE_SIZE: 24, SIZE: 32, DATA: 40, BYTES: 40 } as const;

const MAP_FLAG = { READ: 1, WRITE: 2 } as const;
const UNMAP_FLAG = { DIRTY_BITMAP: 1, ALL: 2 } as const;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

export interface DmaMapRequest extends IovaRange {
  readonly read: boolean;
  readonly write: boolean;
  /** Offset in the file that rides beside the message, in bytes. */
  readonly fdOffset: bigint;
}

/** What dirty pages an unmap wants back. */
export interface UnmapBitmap {
  readonly pageSize: number;
  /** Bytes: whole 64-bit words, one bit a page. */
  readonly bytes: number;
}

export type DmaUnmapRequest =
  | { readonly all: true }
  | ({ readonly all: false; readonly bitmap?: UnmapBitmap | undefined } & IovaRange);

/** A range that is to go, and what is wanted back of it. */
export type DmaUnmapRange = Extract<DmaUnmapRequest, { readonly all: false }>;

export function writeDmaMap(view: DataView, at: number, request: DmaMapRequest): number {
  const flags = (request.read ? MAP_FLAG.READ : 0) | (request.write ? MAP_FLAG.WRITE : 0);
  view.setUint32(at + DMA_MAP.ARGSZ, DMA_MAP.BYTES, true);
  view.setUint32(at + DMA_MAP.FLAGS, flags, true);
  view.setBigUint64(at + DMA_MAP.OFFSET, request.fdOffset, true);
  view.setBigUint64(at + DMA_MAP.ADDRESS, request.iova, true);
  view.setBigUint64(at + DMA_MAP.SIZE, request.size, true);
  return DMA_MAP.BYTES;
}

/**
 * Reads a request and checks flags, alignment to `pageSize` and that the range ends below 2^64.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function readDmaMap(
  view: DataView,
  at: number,
  length: number,
  pageSize: number,
): DmaMapRequest {
  exactPayload("VFIO_USER_DMA_MAP", length, DMA_MAP.BYTES);
  needArgsz("VFIO_USER_DMA_MAP", view.getUint32(at + DMA_MAP.ARGSZ, true), DMA_MAP.BYTES);
  const flags = view.getUint32(at + DMA_MAP.FLAGS, true);
  if (flags === 0 || flags > (MAP_FLAG.READ | MAP_FLAG.WRITE)) {
    throw refusal("EINVAL", `DMA_MAP: flags 0x${flags.toString(16)} are not read, write or both`, {
      flags,
    });
  }
  const request: DmaMapRequest = {
    iova: view.getBigUint64(at + DMA_MAP.ADDRESS, true),
    size: view.getBigUint64(at + DMA_MAP.SIZE, true),
    fdOffset: view.getBigUint64(at + DMA_MAP.OFFSET, true),
    read: (flags & MAP_FLAG.READ) !== 0,
    write: (flags & MAP_FLAG.WRITE) !== 0,
  };
  checkRange("DMA_MAP", request);
  if (((request.iova | request.size | request.fdOffset) & BigInt(pageSize - 1)) !== 0n) {
    throw refusal(
      "EINVAL",
      `DMA_MAP: ${describeRange(request)} is not aligned to ${pageSize} bytes`,
      {
        iova: request.iova,
        size: request.size,
        fdOffset: request.fdOffset,
      },
    );
  }
  return request;
}

/** Writes a request, or the fixed part of its reply; the bits of a reply follow at `DATA`. */
export function writeDmaUnmap(view: DataView, at: number, request: DmaUnmapRequest): number {
  const bitmap = request.all ? undefined : request.bitmap;
  const flags = request.all ? UNMAP_FLAG.ALL : bitmap === undefined ? 0 : UNMAP_FLAG.DIRTY_BITMAP;
  const whole = bitmap === undefined ? DMA_UNMAP.BYTES : DMA_UNMAP_BITMAP.BYTES + bitmap.bytes;
  view.setUint32(at + DMA_UNMAP.ARGSZ, whole, true);
  view.setUint32(at + DMA_UNMAP.FLAGS, flags, true);
  view.setBigUint64(at + DMA_UNMAP.ADDRESS, request.all ? 0n : request.iova, true);
  view.setBigUint64(at + DMA_UNMAP.SIZE, request.all ? 0n : request.size, true);
  if (bitmap === undefined) return DMA_UNMAP.BYTES;
  writeU64(view, at + DMA_UNMAP_BITMAP.PAGE_SIZE, bitmap.pageSize);
  writeU64(view, at + DMA_UNMAP_BITMAP.SIZE, bitmap.bytes);
  return DMA_UNMAP_BITMAP.BYTES;
}

/**
 * Reads a request; `bitmapLimit` is the largest bitmap that may be asked for, in bytes.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function readDmaUnmap(
  view: DataView,
  at: number,
  length: number,
  bitmapLimit: number,
): DmaUnmapRequest {
  needPayload("VFIO_USER_DMA_UNMAP", length, DMA_UNMAP.BYTES);
  const argsz = view.getUint32(at + DMA_UNMAP.ARGSZ, true);
  needArgsz("VFIO_USER_DMA_UNMAP", argsz, DMA_UNMAP.BYTES);
  const flags = view.getUint32(at + DMA_UNMAP.FLAGS, true);
  const range: IovaRange = {
    iova: view.getBigUint64(at + DMA_UNMAP.ADDRESS, true),
    size: view.getBigUint64(at + DMA_UNMAP.SIZE, true),
  };
  if (flags === UNMAP_FLAG.ALL) {
    if (range.iova === 0n && range.size === 0n) return { all: true };
    throw refusal("EINVAL", "DMA_UNMAP of all ranges needs address 0 and size 0", { ...range });
  }
  if (flags !== 0 && flags !== UNMAP_FLAG.DIRTY_BITMAP) {
    throw refusal(
      "EINVAL",
      `DMA_UNMAP: flags 0x${flags.toString(16)} are neither 1 (dirty pages) nor 2 (all)`,
      { flags },
    );
  }
  checkRange("DMA_UNMAP", range);
  if (flags === 0) return { all: false, ...range };
  const bitmap = readUnmapBitmap(view, at, length, range, bitmapLimit);
  needArgsz("VFIO_USER_DMA_UNMAP with dirty pages", argsz, DMA_UNMAP_BITMAP.BYTES + bitmap.bytes);
  return { all: false, ...range, bitmap };
}

function readUnmapBitmap(
  view: DataView,
  at: number,
  length: number,
  range: IovaRange,
  limit: number,
): UnmapBitmap {
  needPayload("VFIO_USER_DMA_UNMAP with dirty pages", length, DMA_UNMAP_BITMAP.BYTES);
  const pageSize = readPageSize(view, at + DMA_UNMAP_BITMAP.PAGE_SIZE);
  const bytes = bitmapBytes(range.size, pageSize);
  const offered = readU64(view, at + DMA_UNMAP_BITMAP.SIZE);
  if (bytes > limit || offered < bytes) {
    throw refusal(
      "EINVAL",
      `DMA_UNMAP of ${describeRange(range)} needs a bitmap of ${bytes} bytes; ${offered} were offered, and the limit is ${limit}`,
      { bytes, offered, limit },
    );
  }
  return { pageSize, bytes };
}

function checkRange(what: string, range: IovaRange): void {
  if (range.size === 0n || range.size - 1n > LAST_ADDRESS - range.iova) {
    throw refusal("EINVAL", `${what}: ${describeRange(range)} is empty or passes 2^64`, {
      ...range,
    });
  }
}

/** `0x1000+0x2000`: a range for people. */
export function describeRange(range: IovaRange): string {
  return `0x${range.iova.toString(16)}+0x${range.size.toString(16)}`;
}
