import type { MmapArea, RegionInfo, SpecificType } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { AREA_BYTES, MAX_AREAS, readAreas, writeAreas } from "./mmap-areas.ts";
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

/** Head of every capability: offsets from its own start, in bytes. */
const CAP = { ID: 0, VERSION: 2, NEXT: 4, BYTES: 8 } as const;

/** A capability that lists areas: offsets from its own start, in bytes. */
export const SPARSE_CAP = { ID: 0, VERSION: 2, NEXT: 4, NR_AREAS: 8, AREAS: 16 } as const;

/** The type of a device-specific region: offsets from its own start, in bytes. */
const TYPE_CAP = { TYPE: 8, SUBTYPE: 12, BYTES: 16 } as const;

const REGION_FLAG = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
const CAP_ID = {
  SPARSE_MMAP: 1,
  TYPE: 2,
  /** This package's own (the letters `vf`): the areas that remain while saving, as SPARSE_MMAP lists them. */
  SPARSE_MMAP_SAVING: 0x7666,
} as const;
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
  /** Undefined where all areas remain while saving. */
  readonly saving: readonly MmapArea[] | undefined;
  readonly type: SpecificType | undefined;
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

/** One capability of a reply: where it begins, and what writes it there. */
interface Capability {
  readonly id: number;
  readonly bytes: number;
  readonly write: (view: DataView, at: number) => void;
}

/** What the reply for `region` has beyond its fixed part. */
function capabilitiesOf(region: RegionInfo, layouts: boolean): readonly Capability[] {
  const { mmap, type } = region;
  const list: Capability[] = [];
  if (mmap !== undefined && mmap.areas.length > 0) {
    list.push(areasCapability(CAP_ID.SPARSE_MMAP, mmap.areas));
    if (layouts && mmap.saving !== undefined) {
      list.push(areasCapability(CAP_ID.SPARSE_MMAP_SAVING, mmap.saving));
    }
  }
  if (type !== undefined) {
    list.push({
      id: CAP_ID.TYPE,
      bytes: TYPE_CAP.BYTES,
      write(view, at) {
        view.setUint32(at + TYPE_CAP.TYPE, type.type, true);
        view.setUint32(at + TYPE_CAP.SUBTYPE, type.subtype, true);
      },
    });
  }
  return list;
}

function areasCapability(id: number, areas: readonly MmapArea[]): Capability {
  return {
    id,
    bytes: SPARSE_CAP.AREAS + areas.length * AREA_BYTES,
    write(view, at) {
      view.setUint32(at + SPARSE_CAP.NR_AREAS, areas.length, true);
      view.setUint32(at + SPARSE_CAP.NR_AREAS + 4, 0, true);
      writeAreas(view, at + SPARSE_CAP.AREAS, areas);
    },
  };
}

/**
 * Bytes of the whole reply payload for `region`.
 * @param layouts - the client knows of layouts that change (`vfmig.layout`)
 */
export function regionInfoBytes(region: RegionInfo, layouts: boolean = false): number {
  return capabilitiesOf(region, layouts).reduce<number>(
    (sum, { bytes }) => sum + bytes,
    REGION_INFO.BYTES,
  );
}

/**
 * Writes a reply. With `caps` false the capabilities are left out, as libvfio-user does where argsz has
 * no room for them; argsz then tells the client what to ask for.
 */
export function writeRegionInfo(
  view: DataView,
  at: number,
  region: RegionInfo,
  caps: boolean,
  layouts: boolean = false,
): number {
  const list = capabilitiesOf(region, layouts);
  const full = regionInfoBytes(region, layouts);
  const mappable = region.mmap !== undefined && region.mmap.areas.length > 0;
  const withCaps = caps && list.length > 0;
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
  if (!withCaps) return REGION_INFO.BYTES;
  let offset: number = REGION_INFO.BYTES;
  for (const [i, { id, bytes, write }] of list.entries()) {
    view.setUint16(at + offset + CAP.ID, id, true);
    view.setUint16(at + offset + CAP.VERSION, 1, true);
    view.setUint32(at + offset + CAP.NEXT, i + 1 < list.length ? offset + bytes : 0, true);
    write(view, at + offset);
    offset += bytes;
  }
  return full;
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
    ...(caps ? readCapabilities(view, at, length, first, size) : NO_CAPABILITIES),
  };
}

interface ReplyCapabilities {
  areas: readonly MmapArea[] | undefined;
  saving: readonly MmapArea[] | undefined;
  type: SpecificType | undefined;
}

const NO_CAPABILITIES: Readonly<ReplyCapabilities> = {
  areas: undefined,
  saving: undefined,
  type: undefined,
};

/** The first capability of each kind; kinds that are not known are passed over. */
function readCapabilities(
  view: DataView,
  at: number,
  length: number,
  first: number,
  regionSize: number,
): Readonly<ReplyCapabilities> {
  const found = { ...NO_CAPABILITIES };
  let offset = first;
  for (let seen = 0; offset !== 0; seen += 1) {
    if (seen === MAX_CAPS || offset < REGION_INFO.BYTES || offset > length - CAP.BYTES) {
      throw refusal("EINVAL", `region capability at offset ${offset} is outside the reply`, {
        offset,
      });
    }
    const [start, room] = [at + offset, length - offset];
    const id = view.getUint16(start + CAP.ID, true);
    if (id === CAP_ID.SPARSE_MMAP) found.areas ??= readAreasCap(view, start, room, regionSize);
    else if (id === CAP_ID.TYPE) found.type ??= readTypeCap(view, start, room);
    else if (id === CAP_ID.SPARSE_MMAP_SAVING) {
      found.saving ??= readAreasCap(view, start, room, regionSize);
    }
    offset = view.getUint32(start + CAP.NEXT, true);
  }
  return found;
}

function readTypeCap(view: DataView, at: number, room: number): SpecificType {
  needPayload("region type capability", room, TYPE_CAP.BYTES);
  return {
    type: view.getUint32(at + TYPE_CAP.TYPE, true),
    subtype: view.getUint32(at + TYPE_CAP.SUBTYPE, true),
  };
}

function readAreasCap(
  view: DataView,
  at: number,
  room: number,
  regionSize: number,
): readonly MmapArea[] {
  needPayload("sparse mmap capability", room, SPARSE_CAP.AREAS);
  const count = view.getUint32(at + SPARSE_CAP.NR_AREAS, true);
  if (count > MAX_AREAS || SPARSE_CAP.AREAS + count * AREA_BYTES > room) {
    throw refusal("EINVAL", `sparse mmap capability claims ${count} areas`, { count, room });
  }
  return readAreas(view, at + SPARSE_CAP.AREAS, count, regionSize);
}
