/**
 * Pieces that sub-drivers of many vendors need alike: PCI config space with its resets noticed, 32-bit
 * registers of a BAR, waiting on a clock, frames that announce a guest's addresses.
 *
 * @packageDocumentation
 */
export { Announcement } from "./announcement.ts";
export { PciConfigSpace } from "./pci-config-space.ts";
export { baseRegisters, readRegisters, type RegisterAccess, writeRegisters } from "./registers.ts";
export { pause, waitUntil } from "./wait.ts";
