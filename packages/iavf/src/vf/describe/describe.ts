import { type DeviceDescription, PCI_REGION } from "@vfmig/core";
import { IAVF_7_2_CAPS } from "../../virtchnl/capabilities.ts";
import { virtchnlName, VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildResourcesRequest, buildVersion, parseResources } from "../../virtchnl/session.ts";
import { freshVf, ready } from "../migration/reset-vf.ts";
import type { Parts } from "../parts.ts";
import { stateFormat } from "../state/schema.ts";
import { hiddenCapabilities, type Offers, offersOf } from "./requirements.ts";

/**
 * What this VF is, offers and uses. Where no guest has asked its PF yet, we do, so that a target is
 * known before anything is stopped; the answer is kept until the function is reset.
 *
 * @throws VfmigError `ERR_VFMIG_VF_NOT_READY`, `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function describe(parts: Parts): Promise<DeviceDescription> {
  const { mailbox, context } = parts;
  const { conversation } = mailbox;
  const { info } = context.base;
  const bar0 = info.regions[PCI_REGION.BAR0]?.size ?? 0;
  const { resources } = conversation;
  const offers = resources === undefined ? await offered(parts) : offersOf(resources, parts.family);
  return {
    driver: parts.family.driver,
    state: { version: stateFormat.version, reads: [...stateFormat.reads] },
    device: { vendor: info.identity.pci?.vendor ?? 0, device: info.identity.pci?.device ?? 0 },
    offers: { bar0Size: bar0, ...offers, hiddenCapabilities: hiddenCapabilities(parts.family) },
    uses: {
      bar0Size: bar0,
      ...(resources === undefined ? {} : offersOf(resources, parts.family)),
      ...(conversation.version === undefined ? {} : { virtchnl: conversation.version }),
      uncarried: Array.from(conversation.uncarried, virtchnlName),
    },
  };
}

/** What the PF offers to a guest that has not asked; empty while one is asking. */
export async function offered(parts: Parts): Promise<Offers | undefined> {
  const { session, mailbox } = parts;
  if (session.offers === undefined && !mailbox.spoken) {
    session.offers = await ask(parts);
  }
  return session.offers;
}

/** Asks in the guest's place. A PF answers once between two resets, so the VF is reset afterwards. */
async function ask(parts: Parts): Promise<Offers> {
  const { mailbox, config, context, session } = parts;
  const release = config.hold();
  const releaseGuest = mailbox.holdGuest();
  const { signal } = new AbortController();
  const options = { timeoutMs: context.options.pfTimeoutMs };
  try {
    await freshVf(parts, signal);
    await ready(parts, signal);
    session.touched = true;
    await mailbox.demand(VIRTCHNL_OP.VERSION, buildVersion(), options);
    const body = buildResourcesRequest(IAVF_7_2_CAPS & parts.family.carriedCaps);
    const reply = await mailbox.demand(VIRTCHNL_OP.GET_VF_RESOURCES, body, options);
    await freshVf(parts, signal);
    return offersOf(parseResources(reply), parts.family);
  } finally {
    releaseGuest();
    release();
  }
}
