import {
  RESOURCES_LENGTH,
  RXDID,
  VF_CAP,
  buildSupportedRxdids,
  expectLength,
  parseResourcesRequest,
} from "@vfmig/iavf";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";
import { resourcesReply } from "../../intel-vf/pf/session-handlers.ts";

/** Given whenever asked for. Flow director, its TC_U32 face, PTP and RDMA are not in this PF. */
const ON_REQUEST =
  VF_CAP.RSS_PF |
  VF_CAP.RX_FLEX_DESC |
  VF_CAP.RSS_PCTYPE_V2 |
  VF_CAP.ENCAP |
  VF_CAP.ENCAP_CSUM |
  VF_CAP.RX_POLLING |
  VF_CAP.WB_ON_ITR |
  VF_CAP.REQ_QUEUES |
  VF_CAP.CRC |
  VF_CAP.ADV_LINK_SPEED |
  VF_CAP.ADV_RSS_PF |
  VF_CAP.USO;

/** What a driver of protocol 1.0, which cannot ask, is taken to want. */
const CAPS_OF_1_0 = VF_CAP.L2 | VF_CAP.VLAN;

/** Write-back formats: the legacy one of 32 bytes and the flexible NIC. */
export const RX_FORMATS: bigint = (1n << BigInt(RXDID.LEGACY_32)) | (1n << BigInt(RXDID.FLEX_NIC));

/** May be asked again and again between two resets, unlike an i40e's. */
export const getResources: PfHandler = {
  tellsLink: true,
  run(hardware, body) {
    const { state, filters } = hardware;
    if (state.minor === 0) expectLength("GET_VF_RESOURCES of version 1.0", body, 0);
    const wanted = state.minor === 0 ? CAPS_OF_1_0 : parseResourcesRequest(body);
    state.granted = grant(wanted, hardware);
    state.active = true;
    const v1 = (state.granted & VF_CAP.VLAN) !== 0;
    // A driver without VLAN V2 hears all VLANs until it names one, or, in double VLAN mode, always.
    if ((state.granted & VF_CAP.VLAN_V2) === 0 && (wanted & VF_CAP.VLAN) !== 0) {
      filters.pruneVlans = false;
    }
    filters.stripVlan = v1;
    filters.stripOuterType = 0;
    return resourcesReply(state, RESOURCES_LENGTH.ICE);
  },
};

function grant(wanted: number, { options }: PfHardware): number {
  let granted = VF_CAP.L2 | (wanted & ON_REQUEST);
  if ((wanted & VF_CAP.VLAN_V2) !== 0) granted |= VF_CAP.VLAN_V2;
  else if (options.doubleVlan !== true) granted |= wanted & VF_CAP.VLAN;
  if (options.qos === true) granted |= wanted & VF_CAP.QOS;
  return (granted & (options.grantedCaps ?? ~0)) >>> 0;
}

export const getRxFormats: PfHandler = {
  run(_hardware, body) {
    expectLength("GET_SUPPORTED_RXDIDS", body, 0);
    return buildSupportedRxdids(RX_FORMATS);
  },
};
