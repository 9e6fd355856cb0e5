import type { MmapArea, RegionInfo } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { needArgsz, needPayload, readU64, writeU64 } from "./wire.ts";

/** `VFIO_USER_DEVICE_GET_REGION_INFO`: offsets in the payload, in bytes. */
export const REGION_INFO = {
  ARGSZ: 0,
  FLAGS: 4,
  INDEX: 8,
  CAP_OFFSET: 12,
  SIZE: 16,
  OFFSET: 24,
  BYTES: 32,
} as const;

/** Sparse mmap capability: offsets from its own start, in bytes. */
export const SPARSE_CAP = {
  ID: 0,
  VERSION: 2,
  NEXT: 4,
  NR_AREAS: 8,
  AREAS: 16,
  AREA_BYTES: 16,
} as const;

const REGION_FLAG = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
const CAP_SPARSE_MMAP = 1;
/** A region has few areas; more is a hostile or broken server. */
const MAX_AREAS = 1024;
const MAX_CAPS = 16;

/** A region as the wire gives it; `areas` undefined where the reply carried no sparse capability. */
export interface RegionInfoReply {
  readonly argsz: number;
  readonly index: number;
  readonly size: number;
  readonly fdOffset: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly mmap: boolean;
  readonly areas: readonly MmapArea[] | undefined;
}

export function writeRegionInfoRequest(
  view: DataView,
  at: number,
  index: number,
  argsz: number,
): number {
  writeU64(view, at + REGION_INFO.SIZE, 0);
  writeU64(view, at + REGION_INFO.OFFSET, 0);
  view.setUint32(at + REGION_INFO.ARGSZ, argsz, true);
  view.setUint32(at + REGION_INFO.FLAGS, 0, true);
  view.setUint32(at + REGION_INFO.INDEX, index, true);
  view.setUint32(at + REGION_INFO.CAP_OFFSET, 0, true);
  return REGION_INFO.BYTES;
}

export function readRegionInfoRequest(
  view: DataView,
  at: number,
  length: number,
): { readonly argsz: number; readonly index: number } {
  needPayload("VFIO_USER_DEVICE_GET_REGION_INFO", length, REGION_INFO.BYTES);
  const argsz = view.getUint32(at + REGION_INFO.ARGSZ, true);
  needArgsz("VFIO_USER_DEVICE_GET_REGION_INFO", argsz, REGION_INFO.BYTES);
  return { argsz, index: view.getUint32(at + REGION_INFO.INDEX, true) };
}

/** Bytes of the whole reply payload for `region`. */
export function regionInfoBytes(region: RegionInfo): number {
  const areas = region.mmap?.areas.length ?? 0;
  if (areas === 0) return REGION_INFO.BYTES;
  return REGION_INFO.BYTES + SPARSE_CAP.AREAS + areas * SPARSE_CAP.AREA_BYTES;
}

/**
 * Writes a reply. With `caps` false the capability is left out, as libvfio-user does where argsz has
 * no room for it; argsz then tells the client what to ask for.
 */
export function writeRegionInfo(
  view: DataView,
  at: number,
  region: RegionInfo,
  caps: boolean,
): number {
  const full = regionInfoBytes(region);
  const mappable = full > REGION_INFO.BYTES;
  const withCaps = mappable && caps;
  const flags =
    (region.read ? REGION_FLAG.READ : 0) |
    (region.write ? REGION_FLAG.WRITE : 0) |
    (mappable ? REGION_FLAG.MMAP : 0) |
    (withCaps ? REGION_FLAG.CAPS : 0);
  view.setUint32(at + REGION_INFO.ARGSZ, full, true);
  view.setUint32(at + REGION_INFO.FLAGS, flags, true);
  view.setUint32(at + REGION_INFO.INDEX, region.index, true);
  view.setUint32(at + REGION_INFO.CAP_OFFSET, withCaps ? REGION_INFO.BYTES : 0, true);
  writeU64(view, at + REGION_INFO.SIZE, region.size);
  const fdOffset = mappable && region.mmap ? region.mmap.fdOffset : 0n;
  view.setBigUint64(at + REGION_INFO.OFFSET, fdOffset, true);
  if (!withCaps || !region.mmap) return REGION_INFO.BYTES;
  writeSparseCap(view, at + REGION_INFO.BYTES, region.mmap.areas);
  return full;
}

function writeSparseCap(view: DataView, at: number, areas: readonly MmapArea[]): void {
  view.setUint16(at + SPARSE_CAP.ID, CAP_SPARSE_MMAP, true);
  view.setUint16(at + SPARSE_CAP.VERSION, 1, true);
  view.setUint32(at + SPARSE_CAP.NEXT, 0, true);
  view.setUint32(at + SPARSE_CAP.NR_AREAS, areas.length, true);
  view.setUint32(at + SPARSE_CAP.NR_AREAS + 4, 0, true);
  let cursor = at + SPARSE_CAP.AREAS;
  for (const area of areas) {
    writeU64(view, cursor, area.offset);
    writeU64(view, cursor + 8, area.size);
    cursor += SPARSE_CAP.AREA_BYTES;
  }
}

export function readRegionInfo(view: DataView, at: number, length: number): RegionInfoReply {
  needPayload("reply to VFIO_USER_DEVICE_GET_REGION_INFO", length, REGION_INFO.BYTES);
  const flags = view.getUint32(at + REGION_INFO.FLAGS, true);
  const size = readU64(view, at + REGION_INFO.SIZE);
  if (size > Number.MAX_SAFE_INTEGER) {
    throw refusal("EINVAL", `region size ${size} is beyond 2^53`, { size });
  }
  const caps = (flags & REGION_FLAG.CAPS) !== 0;
  const first = view.getUint32(at + REGION_INFO.CAP_OFFSET, true);
  return {
    argsz: view.getUint32(at + REGION_INFO.ARGSZ, true),
    index: view.getUint32(at + REGION_INFO.INDEX, true),
    size,
    fdOffset: view.getBigUint64(at + REGION_INFO.OFFSET, true),
    read: (flags & REGION_FLAG.READ) !== 0,
    write: (flags & REGION_FLAG.WRITE) !== 0,
    mmap: (flags & REGION_FLAG.MMAP) !== 0,
    areas: caps ? findSparseAreas(view, at, length, first, size) : undefined,
  };
}

function findSparseAreas(
  view: DataView,
  at: number,
  length: number,
  first: number,
  regionSize: number,
): readonly MmapArea[] | undefined {
  let offset = first;
  for (let seen = 0; offset !== 0; seen += 1) {
    if (seen === MAX_CAPS || offset < REGION_INFO.BYTES || offset > length - 8) {
      throw refusal("EINVAL", `region capability at offset ${offset} is outside the reply`, {
        offset,
      });
    }
    if (view.getUint16(at + offset + SPARSE_CAP.ID, true) === CAP_SPARSE_MMAP) {
      return readSparseAreas(view, at + offset, length - offset, regionSize);
    }
    offset = view.getUint32(at + offset + SPARSE_CAP.NEXT, true);
  }
  return undefined;
}

function readSparseAreas(
  view: DataView,
  at: number,
  room: number,
  regionSize: number,
): readonly MmapArea[] {
  needPayload("sparse mmap capability", room, SPARSE_CAP.AREAS);
  const count = view.getUint32(at + SPARSE_CAP.NR_AREAS, true);
  if (count > MAX_AREAS || SPARSE_CAP.AREAS + count * SPARSE_CAP.AREA_BYTES > room) {
    throw refusal("EINVAL", `sparse mmap capability claims ${count} areas`, { count, room });
  }
  const areas: MmapArea[] = [];
  let end = 0;
  for (let i = 0; i < count; i += 1) {
    const offset = readU64(view, at + SPARSE_CAP.AREAS + i * SPARSE_CAP.AREA_BYTES);
    const size = readU64(view, at + SPARSE_CAP.AREAS + i * SPARSE_CAP.AREA_BYTES + 8);
    if (offset < end || offset + size > regionSize) {
      throw refusal("EINVAL", `mmap area ${i} (offset ${offset}, size ${size}) is not in order`, {
        offset,
        size,
      });
    }
    end = offset + size;
    areas.push({ offset, size });
  }
  return areas;
}
