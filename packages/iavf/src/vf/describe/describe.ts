import { type DeviceDescription, PCI_REGION } from "@vfmig/core";
import { uncarriedUse } from "../features/features.ts";
import type { Parts } from "../parts.ts";
import { stateFormat } from "../state/schema.ts";
import { askOffers } from "./ask.ts";
import { hiddenCapabilities, type Offers, offersOf } from "./offers.ts";
import { formatNumbers } from "./rx-formats.ts";

/**
 * What this VF is, offers and uses. Where no guest has asked its PF yet, we do, so that a target is
 * known before anything is stopped; the answer is kept until the function is reset.
 *
 * @throws VfmigError `ERR_VFMIG_VF_NOT_READY`, `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function describe(parts: Parts): Promise<DeviceDescription> {
  const { context, mailbox, family } = parts;
  const { info } = context.base;
  const bar0 = info.regions[PCI_REGION.BAR0]?.size ?? 0;
  const given = givenOffers(parts);
  const offers = given ?? (await offered(parts));
  const { refused, lost } = uncarriedUse(mailbox.conversation.uncarried, context.options.uncarried);
  return {
    driver: family.driver,
    state: { version: stateFormat.version, reads: [...stateFormat.reads] },
    device: { vendor: info.identity.pci?.vendor ?? 0, device: info.identity.pci?.device ?? 0 },
    offers: {
      bar0Size: bar0,
      ...offers,
      hiddenCapabilities: hiddenCapabilities(context.options.uncarried),
    },
    uses: { bar0Size: bar0, ...given, ...filtersUsed(parts), uncarried: refused, lost },
  };
}

/** What the guest was given; undefined where it has not asked. */
export function givenOffers({ mailbox, context }: Parts): Offers | undefined {
  const { resources, vlanCaps, rxFormats } = mailbox.conversation;
  if (resources === undefined) {
    return undefined;
  }
  return {
    ...offersOf(resources, context.options.uncarried),
    ...(vlanCaps === undefined ? {} : { vlan: vlanCaps }),
    ...(rxFormats === undefined ? {} : { rxFormats: formatNumbers(rxFormats) }),
  };
}

function filtersUsed({ mailbox }: Parts): Record<string, unknown> {
  const { version, macs, vlans } = mailbox.conversation;
  return {
    ...(version === undefined ? {} : { virtchnl: version }),
    macs: [...macs.keys()],
    vlans: vlans.size,
  };
}

/** What the PF offers to a guest that has not asked; empty while one is asking. */
export async function offered(parts: Parts): Promise<Offers | undefined> {
  const { session, mailbox } = parts;
  if (session.offers === undefined && !mailbox.spoken) {
    session.offers = await askOffers(parts);
  }
  return session.offers;
}
