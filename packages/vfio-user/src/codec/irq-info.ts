import type { IrqInfo } from "@vfmig/core";
import { needArgsz, needPayload } from "./wire.ts";

/** `VFIO_USER_DEVICE_GET_IRQ_INFO`: offsets in the payload, in bytes. */
export const IRQ_INFO = { ARGSZ: 0, FLAGS: 4, INDEX: 8, COUNT: 12, BYTES: 16 } as const;

const IRQ_FLAG = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;

export function writeIrqInfo(view: DataView, at: number, info: IrqInfo): number {
  const flags =
    (info.eventfd ? IRQ_FLAG.EVENTFD : 0) |
    (info.maskable ? IRQ_FLAG.MASKABLE : 0) |
    (info.automasked ? IRQ_FLAG.AUTOMASKED : 0) |
    (info.noResize ? IRQ_FLAG.NORESIZE : 0);
  view.setUint32(at + IRQ_INFO.ARGSZ, IRQ_INFO.BYTES, true);
  view.setUint32(at + IRQ_INFO.FLAGS, flags, true);
  view.setUint32(at + IRQ_INFO.INDEX, info.index, true);
  view.setUint32(at + IRQ_INFO.COUNT, info.count, true);
  return IRQ_INFO.BYTES;
}

export function writeIrqInfoRequest(view: DataView, at: number, index: number): number {
  view.setUint32(at + IRQ_INFO.ARGSZ, IRQ_INFO.BYTES, true);
  view.setUint32(at + IRQ_INFO.FLAGS, 0, true);
  view.setUint32(at + IRQ_INFO.INDEX, index, true);
  view.setUint32(at + IRQ_INFO.COUNT, 0, true);
  return IRQ_INFO.BYTES;
}

/** The index that a request asks for. */
export function readIrqInfoRequest(view: DataView, at: number, length: number): number {
  needPayload("VFIO_USER_DEVICE_GET_IRQ_INFO", length, IRQ_INFO.BYTES);
  const argsz = view.getUint32(at + IRQ_INFO.ARGSZ, true);
  needArgsz("VFIO_USER_DEVICE_GET_IRQ_INFO", argsz, IRQ_INFO.BYTES);
  return view.getUint32(at + IRQ_INFO.INDEX, true);
}

export function readIrqInfo(view: DataView, at: number, length: number): IrqInfo {
  needPayload("reply to VFIO_USER_DEVICE_GET_IRQ_INFO", length, IRQ_INFO.BYTES);
  const flags = view.getUint32(at + IRQ_INFO.FLAGS, true);
  return {
    index: view.getUint32(at + IRQ_INFO.INDEX, true),
    count: view.getUint32(at + IRQ_INFO.COUNT, true),
    eventfd: (flags & IRQ_FLAG.EVENTFD) !== 0,
    maskable: (flags & IRQ_FLAG.MASKABLE) !== 0,
    automasked: (flags & IRQ_FLAG.AUTOMASKED) !== 0,
    noResize: (flags & IRQ_FLAG.NORESIZE) !== 0,
  };
}
