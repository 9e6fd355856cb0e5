import { PCI_REGION } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { KernelRegion } from "../uapi/device-info.ts";

/** Where the MSI-X table stands, in bytes. */
export interface MsixTable {
  readonly region: number;
  readonly offset: number;
  readonly size: number;
}

/** PCI Local Bus 3.0, 6.1 and 6.8.2. */
const CONFIG = { STATUS: 0x06, CAPABILITY_LIST: 0x10, POINTER: 0x34 } as const;
const CAP_MSIX = 0x11;
const MSIX = { CONTROL: 2, TABLE: 4, COUNT_MASK: 0x7ff, ENTRY_BYTES: 16 } as const;

/** Walks the capability list of config space; undefined where there is no MSI-X. */
export function findMsixTable(
  io: NativeIo,
  fd: number,
  regions: readonly KernelRegion[],
): MsixTable | undefined {
  const config = regions[PCI_REGION.CONFIG];
  // 256 bytes is what every function has; the emulated ones of some drivers have less.
  if (config === undefined || config.size < 0x40) return undefined;
  const bytes = new Uint8Array(Math.min(256, config.size));
  // The kernel may answer with less than was asked for.
  for (let at = 0; at < bytes.length;) {
    const count = io.pread(fd, bytes, at, bytes.length - at, Number(config.offset) + at);
    if (count === 0) return undefined;
    at += count;
  }
  const view = new DataView(bytes.buffer);
  if ((view.getUint16(CONFIG.STATUS, true) & CONFIG.CAPABILITY_LIST) === 0) return undefined;
  let at = view.getUint8(CONFIG.POINTER) & 0xfc;
  for (let hops = 0; at >= 0x40 && at + 8 <= bytes.length && hops < 48; hops += 1) {
    if (view.getUint8(at) === CAP_MSIX) {
      const count = (view.getUint16(at + MSIX.CONTROL, true) & MSIX.COUNT_MASK) + 1;
      const table = view.getUint32(at + MSIX.TABLE, true);
      return { region: table & 7, offset: (table & ~7) >>> 0, size: count * MSIX.ENTRY_BYTES };
    }
    at = view.getUint8(at + 1) & 0xfc;
  }
  return undefined;
}
