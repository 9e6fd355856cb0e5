import {
  buildResourcesRequest,
  buildVersion,
  IAVF_6_1_CAPS,
  parseResources,
  parseSupportedRxdids,
  parseVersion,
  parseVlanCaps,
  RXDID,
  VF_CAP,
  type VfResources,
  VIRTCHNL_OP,
  type VlanCaps,
  VSI_TYPE_SRIOV,
} from "@vfmig/iavf";
import { GuestFault } from "../guest/fault.ts";
import type { GuestDriverOptions } from "../guest/options.ts";
import { type Conversation, noBody } from "./conversation.ts";

/** What the PF grants, anew after each reset. */
export interface Granted {
  readonly resources: VfResources;
  /** What the PF offers of VLAN V2, where it knows that. */
  readonly vlan: VlanCaps | undefined;
  /** Rx format that is used, or 0 where there is no choice. */
  readonly rxdid: number;
}

/** The questions of iavf that come before all others, each only where the answer before it allows it. */
export class Grants {
  readonly #talk: Conversation;
  readonly #options: Pick<GuestDriverOptions, "capabilities" | "rxFormat">;

  constructor(talk: Conversation, options: Pick<GuestDriverOptions, "capabilities" | "rxFormat">) {
    this.#talk = talk;
    this.#options = options;
  }

  /** The first question of all, once in a guest's life. @throws GuestFault */
  askVersion(then: (granted: Granted) => void): void {
    const done = (reply: Uint8Array): void => {
      const { major, minor } = parseVersion(reply);
      if (major !== 1 || minor > 1) {
        throw new GuestFault("reply", `the PF speaks virtchnl ${major}.${minor}`, { major, minor });
      }
      this.ask(then);
    };
    this.#talk.submit({ operation: VIRTCHNL_OP.VERSION, body: () => buildVersion(), done });
  }

  ask(then: (granted: Granted) => void): void {
    const body = (): Uint8Array =>
      buildResourcesRequest(this.#options.capabilities ?? IAVF_6_1_CAPS);
    const done = (reply: Uint8Array): void => {
      const resources = parseResources(reply);
      if (resources.vsiType !== VSI_TYPE_SRIOV || resources.queuePairs < 1) {
        throw new GuestFault("reply", "the PF grants no SR-IOV VSI with a queue pair", {
          resources,
        });
      }
      if (resources.maxVectors < 2) throw new GuestFault("reply", "the PF grants 1 vector");
      this.#askVlanCaps(resources, then);
    };
    this.#talk.submit({ operation: VIRTCHNL_OP.GET_VF_RESOURCES, body, done });
  }

  /** Only where the PF knows VLAN V2. */
  #askVlanCaps(resources: VfResources, then: (granted: Granted) => void): void {
    if ((resources.caps & VF_CAP.VLAN_V2) === 0) {
      this.#askRxFormats(resources, undefined, then);
      return;
    }
    this.#talk.submit({
      operation: VIRTCHNL_OP.GET_OFFLOAD_VLAN_V2_CAPS,
      body: noBody,
      done: (reply) => this.#askRxFormats(resources, parseVlanCaps(reply), then),
    });
  }

  /** Only where there is a choice. */
  #askRxFormats(
    resources: VfResources,
    vlan: VlanCaps | undefined,
    then: (granted: Granted) => void,
  ): void {
    if ((resources.caps & VF_CAP.RX_FLEX_DESC) === 0) {
      then({ resources, vlan, rxdid: 0 });
      return;
    }
    const done = (reply: Uint8Array): void => {
      const rxdid = this.#options.rxFormat ?? RXDID.LEGACY_32;
      if (((parseSupportedRxdids(reply) >> BigInt(rxdid)) & 1n) === 0n) {
        throw new GuestFault("reply", `the PF does not have Rx format ${rxdid}`, { rxdid });
      }
      then({ resources, vlan, rxdid });
    };
    this.#talk.submit({ operation: VIRTCHNL_OP.GET_SUPPORTED_RXDIDS, body: noBody, done });
  }
}
