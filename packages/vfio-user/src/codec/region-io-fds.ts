import { refusal } from "./errno.ts";
import { needArgsz, needPayload, readU64, writeU64 } from "./wire.ts";

/** `VFIO_USER_DEVICE_GET_REGION_IO_FDS`: offsets in the payload, in bytes. */
export const REGION_IO_FDS = { ARGSZ: 0, FLAGS: 4, INDEX: 8, COUNT: 12, BYTES: 16 } as const;
/** One entry of the reply, as the specification has it: offsets in bytes. */
export const IO_FD = {
  OFFSET: 0,
  SIZE: 8,
  FD_INDEX: 16,
  TYPE: 20,
  FLAGS: 24,
  DATA_MATCH: 32,
  BYTES: 40,
} as const;
/** libvfio-user's entries are longer, and end with the data match. */
const LIBVFIO_USER = { DATA_MATCH: 40, BYTES: 48 } as const;
const TYPES = ["ioeventfd", "ioregionfd"] as const;
const MAX_IO_FDS = 128;

/** A stretch of a region of which writes go to a descriptor instead of into a message. */
export interface RegionIoFd {
  /** Bytes from the region's start, and length. */
  readonly offset: number;
  readonly size: number;
  readonly type: "ioeventfd" | "ioregionfd";
  /** As `KVM_IOEVENTFD` or `KVM_SET_IOREGION` has them. */
  readonly flags: number;
  /** The value to match for an ioeventfd, the user data of an ioregionfd. */
  readonly dataMatch: bigint;
  readonly fd: number;
}

export function writeRegionIoFdsRequest(
  view: DataView,
  at: number,
  index: number,
  argsz: number,
): number {
  view.setUint32(at + REGION_IO_FDS.ARGSZ, argsz, true);
  view.setUint32(at + REGION_IO_FDS.FLAGS, 0, true);
  view.setUint32(at + REGION_IO_FDS.INDEX, index, true);
  view.setUint32(at + REGION_IO_FDS.COUNT, 0, true);
  return REGION_IO_FDS.BYTES;
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` */
export function readRegionIoFdsRequest(
  view: DataView,
  at: number,
  length: number,
): { readonly argsz: number; readonly index: number } {
  needPayload("VFIO_USER_DEVICE_GET_REGION_IO_FDS", length, REGION_IO_FDS.BYTES);
  const argsz = view.getUint32(at + REGION_IO_FDS.ARGSZ, true);
  needArgsz("VFIO_USER_DEVICE_GET_REGION_IO_FDS", argsz, REGION_IO_FDS.BYTES);
  const flags = view.getUint32(at + REGION_IO_FDS.FLAGS, true);
  const count = view.getUint32(at + REGION_IO_FDS.COUNT, true);
  if (flags !== 0 || count !== 0) {
    throw refusal("EINVAL", "GET_REGION_IO_FDS: flags and count of a request must be 0", {
      flags,
      count,
    });
  }
  return { argsz, index: view.getUint32(at + REGION_IO_FDS.INDEX, true) };
}

/** Bytes of the reply's whole payload. */
export function regionIoFdsBytes(entries: readonly RegionIoFd[]): number {
  return REGION_IO_FDS.BYTES + entries.length * IO_FD.BYTES;
}

/** Writes a reply, without entries where there was no room. Each entry's fd is the one at its place. */
export function writeRegionIoFds(
  view: DataView,
  at: number,
  index: number,
  entries: readonly RegionIoFd[],
  fits: boolean,
): number {
  writeRegionIoFdsRequest(view, at, index, regionIoFdsBytes(entries));
  view.setUint32(at + REGION_IO_FDS.COUNT, entries.length, true);
  if (!fits) return REGION_IO_FDS.BYTES;
  for (const [i, entry] of entries.entries()) {
    const from = at + REGION_IO_FDS.BYTES + i * IO_FD.BYTES;
    writeU64(view, from + IO_FD.OFFSET, entry.offset);
    writeU64(view, from + IO_FD.SIZE, entry.size);
    view.setUint32(from + IO_FD.FD_INDEX, i, true);
    view.setUint32(from + IO_FD.TYPE, TYPES.indexOf(entry.type), true);
    view.setUint32(from + IO_FD.FLAGS, entry.flags, true);
    view.setUint32(from + IO_FD.FLAGS + 4, 0, true);
    view.setBigUint64(from + IO_FD.DATA_MATCH, entry.dataMatch, true);
  }
  return regionIoFdsBytes(entries);
}

/** What a reply says, and how many bytes a whole one has. `fds` are those that came with it. */
export function readRegionIoFds(
  view: DataView,
  at: number,
  length: number,
  fds: readonly number[],
): { readonly argsz: number; readonly entries: readonly RegionIoFd[] } {
  needPayload("reply to VFIO_USER_DEVICE_GET_REGION_IO_FDS", length, REGION_IO_FDS.BYTES);
  const argsz = view.getUint32(at + REGION_IO_FDS.ARGSZ, true);
  const count = view.getUint32(at + REGION_IO_FDS.COUNT, true);
  if (count === 0 || argsz > length) return { argsz, entries: [] };
  // The two layouts in use are told apart by their length.
  const stride = (argsz - REGION_IO_FDS.BYTES) / count;
  if (count > MAX_IO_FDS || (stride !== IO_FD.BYTES && stride !== LIBVFIO_USER.BYTES)) {
    throw refusal("EINVAL", `${count} io fds in ${argsz} bytes are of no known layout`, { count });
  }
  const match = stride === IO_FD.BYTES ? IO_FD.DATA_MATCH : LIBVFIO_USER.DATA_MATCH;
  const entries = Array.from({ length: count }, (_, i): RegionIoFd => {
    const from = at + REGION_IO_FDS.BYTES + i * stride;
    const type = TYPES[view.getUint32(from + IO_FD.TYPE, true)];
    const fd = fds[view.getUint32(from + IO_FD.FD_INDEX, true)];
    if (type === undefined || fd === undefined) {
      throw refusal("EINVAL", `io fd ${i} is of no known type, or no fd came for it`, { i });
    }
    return {
      offset: readU64(view, from + IO_FD.OFFSET),
      size: readU64(view, from + IO_FD.SIZE),
      type,
      flags: view.getUint32(from + IO_FD.FLAGS, true),
      dataMatch: view.getBigUint64(from + match, true),
      fd,
    };
  });
  return { argsz, entries };
}
