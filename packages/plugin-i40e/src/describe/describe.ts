import { type DeviceDescription, PCI_REGION } from "@vfmig/core";
import {
  buildResourcesRequest,
  buildVersion,
  IAVF_7_2_CAPS,
  parseResources,
  virtchnlName,
  VIRTCHNL_OP,
} from "@vfmig/iavf";
import { CARRIED_CAPS } from "../capabilities.ts";
import { DRIVER } from "../driver.ts";
import { ready } from "../migration/reset-vf.ts";
import type { Parts } from "../parts.ts";
import { stateFormat } from "../state/schema.ts";
import { hiddenCapabilities, type Offers, offersOf } from "./requirements.ts";

/**
 * What this VF is, offers and uses. Where no guest has asked its PF yet, we do, so that a target is
 * known before anything is stopped.
 *
 * @throws VfmigError `ERR_VFMIG_VF_NOT_READY`, `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function describe(parts: Parts): Promise<DeviceDescription> {
  const { mailbox, context } = parts;
  const { conversation } = mailbox;
  const { info } = context.base;
  const bar0 = info.regions[PCI_REGION.BAR0]?.size ?? 0;
  const { resources } = conversation;
  const offers = resources === undefined ? await ask(parts) : offersOf(resources);
  return {
    driver: DRIVER,
    state: { version: stateFormat.version, reads: [...stateFormat.reads] },
    device: { vendor: info.identity.pci?.vendor ?? 0, device: info.identity.pci?.device ?? 0 },
    offers: { bar0Size: bar0, ...offers, hiddenCapabilities: hiddenCapabilities() },
    uses: {
      bar0Size: bar0,
      ...(resources === undefined ? {} : offersOf(resources)),
      ...(conversation.version === undefined ? {} : { virtchnl: conversation.version }),
      uncarried: Array.from(conversation.uncarried, virtchnlName),
    },
  };
}

async function ask(parts: Parts): Promise<Offers> {
  const { mailbox, config, context } = parts;
  const release = config.hold();
  try {
    await ready(parts, new AbortController().signal);
    const options = { timeoutMs: context.options.pfTimeoutMs };
    await mailbox.demand(VIRTCHNL_OP.VERSION, buildVersion(), options);
    const body = buildResourcesRequest(IAVF_7_2_CAPS & CARRIED_CAPS);
    const reply = await mailbox.demand(VIRTCHNL_OP.GET_VF_RESOURCES, body, options);
    return offersOf(parseResources(reply));
  } finally {
    release();
  }
}
