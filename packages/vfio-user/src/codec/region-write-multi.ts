import { refusal } from "./errno.ts";
import { exactPayload, needPayload, readU64, writeU64 } from "./wire.ts";

/** `VFIO_USER_REGION_WRITE_MULTI`: offsets in the payload and in an entry, in bytes. */
export const WRITE_MULTI = { COUNT: 0, ENTRIES: 8, BYTES: 8, ENTRY_BYTES: 24 } as const;
const ENTRY = { OFFSET: 0, REGION: 8, COUNT: 12, DATA: 16 } as const;
/** Most bytes that one of the writes carries. */
export const WRITE_MULTI_DATA = 8;

/** One of the writes. */
export interface SmallWrite {
  readonly index: number;
  /** Bytes from the region's start. */
  readonly offset: number;
  /** 1 to 8 bytes. */
  readonly data: Uint8Array;
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` */
export function readWriteMulti(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  length: number,
): SmallWrite[] {
  needPayload("VFIO_USER_REGION_WRITE_MULTI", length, WRITE_MULTI.BYTES);
  const count = readU64(view, at + WRITE_MULTI.COUNT);
  const expected = WRITE_MULTI.BYTES + count * WRITE_MULTI.ENTRY_BYTES;
  exactPayload("VFIO_USER_REGION_WRITE_MULTI", length, expected);
  return Array.from({ length: count }, (_, i) =>
    readEntry(view, bytes, at + WRITE_MULTI.ENTRIES + i * WRITE_MULTI.ENTRY_BYTES, i),
  );
}

function readEntry(view: DataView, bytes: Uint8Array, at: number, position: number): SmallWrite {
  const count = view.getUint32(at + ENTRY.COUNT, true);
  if (count > WRITE_MULTI_DATA) {
    throw refusal(
      "EINVAL",
      `REGION_WRITE_MULTI: write ${position} has ${count} bytes, 8 are most`,
      {
        position,
        count,
      },
    );
  }
  return {
    index: view.getUint32(at + ENTRY.REGION, true),
    offset: readU64(view, at + ENTRY.OFFSET),
    data: bytes.subarray(at + ENTRY.DATA, at + ENTRY.DATA + count),
  };
}

/** Writes a request; returns its length. */
export function writeWriteMulti(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  writes: readonly SmallWrite[],
): number {
  writeU64(view, at + WRITE_MULTI.COUNT, writes.length);
  let cursor = at + WRITE_MULTI.ENTRIES;
  for (const { index, offset, data } of writes) {
    writeU64(view, cursor + ENTRY.OFFSET, offset);
    view.setUint32(cursor + ENTRY.REGION, index, true);
    view.setUint32(cursor + ENTRY.COUNT, data.length, true);
    bytes.fill(0, cursor + ENTRY.DATA, cursor + WRITE_MULTI.ENTRY_BYTES);
    bytes.set(data, cursor + ENTRY.DATA);
    cursor += WRITE_MULTI.ENTRY_BYTES;
  }
  return cursor - at;
}
