import {
  STATS_LENGTH,
  VIRTCHNL_STATUS,
  VSI_TYPE_SRIOV,
  buildRequestQueues,
  buildResources,
  buildStats,
  buildVersion,
  expectLength,
  parseQueueSelect,
  parseRequestQueues,
  parseVersion,
} from "@vfmig/iavf";
import { RSS_KEY_SIZE, RSS_LUT_SIZE } from "../rss.ts";
import type { PfAnswer, PfHandler, PfHardware } from "./handler.ts";
import { macText, type VfState } from "./vf-state.ts";

const SPARE_QSET = 0;

export const version: PfHandler = {
  run({ state }, body) {
    const { major, minor } = parseVersion(body);
    // Only 1.1 negotiates capabilities; only 1.0 is answered with 1.0.
    state.minor = major === 1 && minor === 1 ? 1 : 0;
    return buildVersion({ major: 1, minor: major === 1 && minor === 0 ? 0 : 1 });
  },
};

export const resetVf: PfHandler = {
  run(hardware, body) {
    expectLength("RESET_VF", body, 0);
    hardware.resetVf(false);
    return "silent";
  },
};

/** The reply to GET_VF_RESOURCES; `length` is the PF's, in bytes. */
export function resourcesReply(state: VfState, length: number): Uint8Array {
  const { options } = state;
  return buildResources(
    {
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
    },
    length,
  );
}

/** `currentForNone`: what is answered to a request of no pairs, the count in use (i40e) or 0 (ice). */
export function requestQueues(currentForNone: boolean): PfHandler {
  return {
    run(hardware, body): PfAnswer {
      const { state } = hardware;
      const wanted = parseRequestQueues(body);
      if (wanted > state.maxQueuePairs) return buildRequestQueues(state.maxQueuePairs);
      if (wanted === 0) return buildRequestQueues(currentForNone ? state.queuePairs : 0);
      state.requestedPairs = wanted;
      hardware.resetVf(true);
      return "silent";
    },
  };
}

/** GET_STATS; `length` of the reply is the PF's, in bytes, and also that of a refusal. */
export function getStats(length: number = STATS_LENGTH.BASIC): PfHandler {
  return {
    run({ options, counters }, body) {
      if (parseQueueSelect(body).vsiId !== options.vsiId) {
        return { status: VIRTCHNL_STATUS.PARAM, body: new Uint8Array(length) };
      }
      return statistics({ counters }, length);
    },
  };
}

function statistics({ counters }: Pick<PfHardware, "counters">, length: number): Uint8Array {
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
    length,
  );
}
