import { needArgsz, needPayload } from "./wire.ts";

/** `VFIO_USER_DEVICE_GET_INFO`: offsets in the payload, in bytes. */
export const DEVICE_INFO = {
  ARGSZ: 0,
  FLAGS: 4,
  NUM_REGIONS: 8,
  NUM_IRQS: 12,
  BYTES: 16,
} as const;

export const DEVICE_FLAG = { RESET: 1, PCI: 2 } as const;

export interface DeviceInfoReply {
  readonly flags: number;
  readonly regions: number;
  readonly irqs: number;
}

export function writeDeviceInfo(view: DataView, at: number, info: DeviceInfoReply): number {
  view.setUint32(at + DEVICE_INFO.ARGSZ, DEVICE_INFO.BYTES, true);
  view.setUint32(at + DEVICE_INFO.FLAGS, info.flags, true);
  view.setUint32(at + DEVICE_INFO.NUM_REGIONS, info.regions, true);
  view.setUint32(at + DEVICE_INFO.NUM_IRQS, info.irqs, true);
  return DEVICE_INFO.BYTES;
}

/** Checks a request; argsz may be larger than the struct (cloud-hypervisor says 32). */
export function checkDeviceInfoRequest(view: DataView, at: number, length: number): void {
  needPayload("VFIO_USER_DEVICE_GET_INFO", length, 4);
  const argsz = view.getUint32(at + DEVICE_INFO.ARGSZ, true);
  needArgsz("VFIO_USER_DEVICE_GET_INFO", argsz, DEVICE_INFO.BYTES);
}

export function readDeviceInfo(view: DataView, at: number, length: number): DeviceInfoReply {
  needPayload("reply to VFIO_USER_DEVICE_GET_INFO", length, DEVICE_INFO.BYTES);
  return {
    flags: view.getUint32(at + DEVICE_INFO.FLAGS, true),
    regions: view.getUint32(at + DEVICE_INFO.NUM_REGIONS, true),
    irqs: view.getUint32(at + DEVICE_INFO.NUM_IRQS, true),
  };
}
