import type { BaseAccess } from "@vfmig/core";

/** 32-bit registers of one region. */
export interface RegisterAccess {
  read(offset: number): number;
  write(offset: number, value: number): void;
}

/** The registers of region `index` of a base; allocates nothing per access. */
export function baseRegisters(base: BaseAccess, index: number): RegisterAccess {
  const bytes = new Uint8Array(4);
  const data = new DataView(bytes.buffer);
  return {
    read(offset) {
      base.readRegion(index, offset, bytes);
      return data.getUint32(0, true);
    },
    write(offset, value) {
      data.setUint32(0, value >>> 0, true);
      base.writeRegion(index, offset, bytes);
    },
  };
}
