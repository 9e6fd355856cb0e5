import {
  STATS_LENGTH,
  VF_CAP,
  VIRTCHNL_STATUS,
  VSI_TYPE_SRIOV,
  buildRequestQueues,
  buildResources,
  buildStats,
  buildVersion,
  expectLength,
  parseQueueSelect,
  parseRequestQueues,
  parseResourcesRequest,
  parseVersion,
} from "@vfmig/iavf";
import { RSS_KEY_SIZE, RSS_LUT_SIZE } from "../rss.ts";
import type { PfAnswer, PfHandler, PfHardware } from "./handler.ts";
import type { VfState } from "./vf-state.ts";

/** Given whenever asked for; others that iavf asks for do not exist on this generation. */
const ON_REQUEST = VF_CAP.ENCAP | VF_CAP.REQ_QUEUES | VF_CAP.ADQ | VF_CAP.RX_POLLING;

/** What a driver of protocol 1.0, which cannot ask, is taken to want. */
const CAPS_OF_1_0 = VF_CAP.L2 | VF_CAP.RSS_REG | VF_CAP.VLAN;

const SPARE_QSET = 0;

export const version: PfHandler = {
  session: false,
  run({ state }, body) {
    const { major, minor } = parseVersion(body);
    // Only 1.1 negotiates capabilities; only 1.0 is answered with 1.0.
    state.minor = major === 1 && minor === 1 ? 1 : 0;
    return buildVersion({ major: 1, minor: major === 1 && minor === 0 ? 0 : 1 });
  },
};

export const resetVf: PfHandler = {
  session: false,
  run(hardware, body) {
    expectLength("RESET_VF", body, 0);
    hardware.resetVf(false);
    return "silent";
  },
};

export const getResources: PfHandler = {
  session: false,
  tellsLink: true,
  run({ state, filters }, body) {
    if (state.minor === 0) expectLength("GET_VF_RESOURCES of version 1.0", body, 0);
    const wanted = state.minor === 0 ? CAPS_OF_1_0 : parseResourcesRequest(body);
    // Recent PF drivers answer once between two resets.
    if (state.active) return VIRTCHNL_STATUS.PARAM;
    state.driverCaps = wanted;
    state.granted = grant(wanted, state.options.grantedCaps);
    state.active = true;
    // The missing USO bit marks an old driver, which is left to choose its address.
    if ((wanted & VF_CAP.USO) === 0 && !state.options.adminMac) {
      filters.macs.delete(state.mac);
      state.mac = 0;
    }
    return resources(state);
  },
};

function grant(wanted: number, limit: number | undefined): number {
  const rss = wanted & VF_CAP.RSS_PF ? VF_CAP.RSS_PF : VF_CAP.RSS_REG;
  const always = VF_CAP.L2 | VF_CAP.ADV_LINK_SPEED | VF_CAP.VLAN;
  return ((always | rss | (wanted & ON_REQUEST)) & (limit ?? ~0)) >>> 0;
}

function resources(state: VfState): Uint8Array {
  const { options } = state;
  return buildResources({
    queuePairs: state.queuePairs,
    maxVectors: options.vectors,
    maxFrame: options.maxFrame,
    caps: state.granted,
    rssKeySize: RSS_KEY_SIZE,
    rssLutSize: RSS_LUT_SIZE,
    vsiId: options.vsiId,
    vsiType: VSI_TYPE_SRIOV,
    qset: SPARE_QSET,
    mac: macText(state.mac),
  });
}

function macText(mac: number): string {
  return (mac.toString(16).padStart(12, "0").match(/../gu) ?? []).join(":");
}

export const requestQueues: PfHandler = {
  session: true,
  run(hardware, body): PfAnswer {
    const { state } = hardware;
    const wanted = parseRequestQueues(body);
    if (wanted > state.options.maxQueuePairs)
      return buildRequestQueues(state.options.maxQueuePairs);
    if (wanted === 0) return buildRequestQueues(state.queuePairs);
    state.requestedPairs = wanted;
    hardware.resetVf(true);
    return "silent";
  },
};

export const getStats: PfHandler = {
  session: true,
  run({ state, counters }, body) {
    if (parseQueueSelect(body).vsiId !== state.options.vsiId) {
      return { status: VIRTCHNL_STATUS.PARAM, body: new Uint8Array(STATS_LENGTH.I40E) };
    }
    return statistics({ counters });
  },
};

function statistics({ counters }: Pick<PfHardware, "counters">): Uint8Array {
  const { rxFrames, txFrames } = counters;
  return buildStats(
    {
      rxBytes: BigInt(counters.rxBytes),
      rxUnicast: BigInt(rxFrames[0]),
      rxMulticast: BigInt(rxFrames[1]),
      rxBroadcast: BigInt(rxFrames[2]),
      rxDiscards: BigInt(counters.rxDiscards),
      rxUnknownProtocol: 0n,
      txBytes: BigInt(counters.txBytes),
      txUnicast: BigInt(txFrames[0]),
      txMulticast: BigInt(txFrames[1]),
      txBroadcast: BigInt(txFrames[2]),
      txDiscards: BigInt(counters.txDiscards),
      txErrors: BigInt(counters.txErrors),
    },
    STATS_LENGTH.I40E,
  );
}
