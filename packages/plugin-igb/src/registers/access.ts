import { type BaseAccess, PCI_REGION } from "@vfmig/core";

/** 32-bit registers of BAR0, by offset in bytes. */
export interface RegisterAccess {
  read(offset: number): number;
  write(offset: number, value: number): void;
}

/** The base's BAR0. Accesses allocate nothing. */
export function baseRegisters(base: BaseAccess): RegisterAccess {
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  return {
    read(offset) {
      base.readRegion(PCI_REGION.BAR0, offset, bytes);
      return view.getUint32(0, true);
    },
    write(offset, value) {
      view.setUint32(0, value, true);
      base.writeRegion(PCI_REGION.BAR0, offset, bytes);
    },
  };
}
