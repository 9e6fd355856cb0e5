import { PCI_REGION } from "@vfmig/core";
import type { World } from "./world.ts";

/** Reads a register of BAR0 as the guest does, through its user's mapping where there is one. */
export function read(world: World, offset: number): number {
  const bytes = new Uint8Array(4);
  world.reach(world.at).readRegion(PCI_REGION.BAR0, offset, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

/** Writes a register of BAR0 as the guest does, through its user's mapping where there is one. */
export function write(world: World, offset: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
  world.reach(world.at).writeRegion(PCI_REGION.BAR0, offset, bytes);
}
