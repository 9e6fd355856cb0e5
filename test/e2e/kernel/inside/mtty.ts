import { existsSync } from "node:fs";
import type { Exceptions } from "./base-subject.ts";

/**
 * A device that is closed while it restores keeps that state, and its driver crashes the kernel at the next
 * user's first arc; a reset would help, where the base can make one.
 */
const needsReset: Exceptions[string] = ({ info }) =>
  info.resettable ? undefined : "it cannot be reset, and must not be closed in RESUMING";

/** Where the sample driver does less than the kernel's real ones (samples/vfio-mdev/mtty.c). */
export const MTTY_EXCEPTIONS: Exceptions = {
  "regions.bus-master": () => "it ignores its command register",
  "irqs.replace": () => "taking a vector's target away disables the index",
  "dirty.device": () =>
    existsSync("/dev/iommu") ? undefined : "a kernel without iommufd cannot report a device's log",
  "migration.short": needsReset,
  "migration.poison": needsReset,
  "migration.reset": needsReset,
};

/** Registers of a 16550, in BAR 0, one byte each. */
export const UART = { LCR: 3, MCR: 4, SCRATCH: 7 } as const;
