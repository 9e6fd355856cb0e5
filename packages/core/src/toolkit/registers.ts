import type { BaseAccess } from "../sub-driver/context.ts";

/** 32-bit registers of one region, by offset in bytes. */
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

/**
 * A read of any width and alignment, of registers that are 32 bits wide: a wider one is several, a
 * narrower one is cut out of the whole. Allocates nothing.
 */
export function readRegisters(registers: RegisterAccess, offset: number, into: Uint8Array): void {
  for (let at = 0; at < into.length;) {
    const register = (offset + at) & ~3;
    const value = registers.read(register);
    for (let byte = offset + at - register; byte < 4 && at < into.length; byte++, at++) {
      into[at] = (value >>> (8 * byte)) & 0xff;
    }
  }
}

/**
 * A write of any width, to registers that are 32 bits wide: a wider one is several, and a write of a
 * part is not one that the hardware knows, so that it is lost. Allocates nothing.
 */
export function writeRegisters(registers: RegisterAccess, offset: number, from: Uint8Array): void {
  for (let at = (4 - (offset & 3)) & 3; at + 4 <= from.length; at += 4) {
    const value =
      (from[at] ?? 0) |
      ((from[at + 1] ?? 0) << 8) |
      ((from[at + 2] ?? 0) << 16) |
      ((from[at + 3] ?? 0) << 24);
    registers.write(offset + at, value >>> 0);
  }
}
