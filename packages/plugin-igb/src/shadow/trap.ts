import { PCI_REGION } from "@vfmig/core";
import type { Parts } from "../parts.ts";
import { OWN_PAGES } from "./pages.ts";

/**
 * Takes the guest's own pages: those that map them are asked to let go. Accesses still go to the device, by
 * this plugin where they come as messages.
 * @throws VfmigError `ERR_VFMIG_MAPPING_CONFLICT`, `ERR_VFMIG_TRAP_TIMEOUT`; the pages are the guest's then
 */
export async function trapPages({ context }: Parts, signal: AbortSignal): Promise<void> {
  if (context.options.doorbells === "trapped") return;
  await context.regions.trap(PCI_REGION.BAR0, OWN_PAGES, signal);
}

/** The guest may have its own pages to itself again. */
export function untrapPages({ context }: Parts): void {
  if (context.options.doorbells === "trapped") return;
  context.regions.untrap(PCI_REGION.BAR0, OWN_PAGES);
}
