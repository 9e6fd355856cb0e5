import { type DeviceDescription, PCI_IRQ, PCI_REGION } from "@vfmig/core";
import { DRIVER } from "../driver.ts";
import { opcodeName } from "../mailbox/messages.ts";
import { addressPolicy } from "../migration/address.ts";
import type { Parts } from "../parts.ts";
import { doubtOf } from "../shadow/doubt.ts";
import { stateFormat } from "../state/schema.ts";

/**
 * What this VF is, offers and uses. Where no guest has spoken to its PF yet, we ask how the PF gives
 * addresses, so that a target is known before anything is stopped.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_VF_NOT_READY`
 */
export async function describe(parts: Parts): Promise<DeviceDescription> {
  const { info } = parts.context.base;
  const address = await addressPolicy(parts);
  const bar0Size = info.regions[PCI_REGION.BAR0]?.size ?? 0;
  const { conversation } = parts.mailbox;
  const doubt = parts.shadow.mode === "direct" ? doubtOf(parts) : undefined;
  return {
    driver: DRIVER,
    state: { version: stateFormat.version, reads: [...stateFormat.reads] },
    device: { vendor: info.identity.pci?.vendor ?? 0, device: info.identity.pci?.device ?? 0 },
    offers: {
      bar0Size,
      vectors: info.irqs[PCI_IRQ.MSIX]?.count ?? 0,
      ...(address === undefined ? {} : { address: { ...address } }),
    },
    uses: {
      bar0Size,
      vectors: info.irqs[PCI_IRQ.MSIX]?.count ?? 0,
      mac: conversation.mac ?? null,
      filters: conversation.filters.size,
      vlans: conversation.vlans.size,
      multicast: conversation.multicast.length,
      maxFrame: conversation.maxFrame ?? null,
      ...(doubt === undefined ? {} : { doubt: doubt.why }),
      uncarried: Array.from(conversation.uncarried, opcodeName),
    },
  };
}
