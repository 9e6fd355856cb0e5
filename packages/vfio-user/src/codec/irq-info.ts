import type { IrqInfo, SpecificType } from "@vfmig/core";
import { needArgsz, needPayload } from "./wire.ts";

/** `VFIO_USER_DEVICE_GET_IRQ_INFO`: offsets in the payload, in bytes. */
export const IRQ_INFO = { ARGSZ: 0, FLAGS: 4, INDEX: 8, COUNT: 12, BYTES: 16 } as const;

/**
 * What follows for a device-specific index, where both sides have said `vfmig.layout`: the kernel's
 * structure has no capabilities. A head with the first one's offset, then {id, version, next, type,
 * subtype}, shaped as those of regions.
 */
const TYPE_CAP = {
  CAP_OFFSET: 16,
  RESERVED: 20,
  ID: 24,
  VERSION: 26,
  NEXT: 28,
  TYPE: 32,
  SUBTYPE: 36,
} as const;

/** Bytes of a reply with the type of its index. */
export const TYPED_IRQ_INFO_BYTES = 40;

const IRQ_FLAG = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8, CAPS: 16 } as const;
/** This package's own (the letters `vf`). */
const CAP_TYPE = 0x7666;

/**
 * Writes a reply.
 * @param argsz - room that the client has; without enough for it the type is left out, and argsz says so
 * @param layouts - the client knows of types (`vfmig.layout`)
 */
export function writeIrqInfo(
  view: DataView,
  at: number,
  info: IrqInfo,
  argsz: number = IRQ_INFO.BYTES,
  layouts: boolean = false,
): number {
  const type = layouts ? info.type : undefined;
  const full = type === undefined ? IRQ_INFO.BYTES : TYPED_IRQ_INFO_BYTES;
  const flags =
    (info.eventfd ? IRQ_FLAG.EVENTFD : 0) |
    (info.maskable ? IRQ_FLAG.MASKABLE : 0) |
    (info.automasked ? IRQ_FLAG.AUTOMASKED : 0) |
    (info.noResize ? IRQ_FLAG.NORESIZE : 0) |
    (type !== undefined && argsz >= full ? IRQ_FLAG.CAPS : 0);
  view.setUint32(at + IRQ_INFO.ARGSZ, full, true);
  view.setUint32(at + IRQ_INFO.FLAGS, flags, true);
  view.setUint32(at + IRQ_INFO.INDEX, info.index, true);
  view.setUint32(at + IRQ_INFO.COUNT, info.count, true);
  if (type === undefined || argsz < full) return IRQ_INFO.BYTES;
  view.setUint32(at + TYPE_CAP.CAP_OFFSET, TYPE_CAP.ID, true);
  view.setUint32(at + TYPE_CAP.RESERVED, 0, true);
  view.setUint16(at + TYPE_CAP.ID, CAP_TYPE, true);
  view.setUint16(at + TYPE_CAP.VERSION, 1, true);
  view.setUint32(at + TYPE_CAP.NEXT, 0, true);
  view.setUint32(at + TYPE_CAP.TYPE, type.type, true);
  view.setUint32(at + TYPE_CAP.SUBTYPE, type.subtype, true);
  return full;
}

export function writeIrqInfoRequest(
  view: DataView,
  at: number,
  index: number,
  argsz: number = IRQ_INFO.BYTES,
): number {
  view.setUint32(at + IRQ_INFO.ARGSZ, argsz, true);
  view.setUint32(at + IRQ_INFO.FLAGS, 0, true);
  view.setUint32(at + IRQ_INFO.INDEX, index, true);
  view.setUint32(at + IRQ_INFO.COUNT, 0, true);
  return IRQ_INFO.BYTES;
}

/** The index that a request asks for, and the room for its answer. */
export function readIrqInfoRequest(
  view: DataView,
  at: number,
  length: number,
): { readonly argsz: number; readonly index: number } {
  needPayload("VFIO_USER_DEVICE_GET_IRQ_INFO", length, IRQ_INFO.BYTES);
  const argsz = view.getUint32(at + IRQ_INFO.ARGSZ, true);
  needArgsz("VFIO_USER_DEVICE_GET_IRQ_INFO", argsz, IRQ_INFO.BYTES);
  return { argsz, index: view.getUint32(at + IRQ_INFO.INDEX, true) };
}

export function readIrqInfo(view: DataView, at: number, length: number): IrqInfo {
  needPayload("reply to VFIO_USER_DEVICE_GET_IRQ_INFO", length, IRQ_INFO.BYTES);
  const flags = view.getUint32(at + IRQ_INFO.FLAGS, true);
  const type = (flags & IRQ_FLAG.CAPS) === 0 ? undefined : readType(view, at, length);
  return {
    index: view.getUint32(at + IRQ_INFO.INDEX, true),
    count: view.getUint32(at + IRQ_INFO.COUNT, true),
    eventfd: (flags & IRQ_FLAG.EVENTFD) !== 0,
    maskable: (flags & IRQ_FLAG.MASKABLE) !== 0,
    automasked: (flags & IRQ_FLAG.AUTOMASKED) !== 0,
    noResize: (flags & IRQ_FLAG.NORESIZE) !== 0,
    ...(type === undefined ? {} : { type }),
  };
}

/** The one capability that there is; whatever else a server puts there is passed over. */
function readType(view: DataView, at: number, length: number): SpecificType | undefined {
  if (length < TYPED_IRQ_INFO_BYTES) return undefined;
  if (view.getUint32(at + TYPE_CAP.CAP_OFFSET, true) !== TYPE_CAP.ID) return undefined;
  if (view.getUint16(at + TYPE_CAP.ID, true) !== CAP_TYPE) return undefined;
  return {
    type: view.getUint32(at + TYPE_CAP.TYPE, true),
    subtype: view.getUint32(at + TYPE_CAP.SUBTYPE, true),
  };
}
