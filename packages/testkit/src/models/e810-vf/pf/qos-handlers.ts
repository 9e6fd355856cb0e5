import {
  VIRTCHNL_STATUS,
  buildQosCaps,
  expectLength,
  parseQuanta,
  parseQueueRates,
} from "@vfmig/iavf";
import type { PfHandler } from "../../intel-vf/pf/handler.ts";

/** A PF without data centre bridging: one class for all eight priorities, strict, no limits. */
const SINGLE_CLASS = {
  trafficClass: 0,
  priorities: 0xff,
  arbiter: 0,
  weight: 0,
  committed: 0,
  peak: 0,
} as const;

/** Traffic classes of the hardware. */
const MAX_CLASSES = 8;

/** Bytes of a quantum. */
const QUANTA = { min: 256, max: 4096, step: 64 } as const;

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

export const getQosCaps: PfHandler = {
  run({ options }, body) {
    expectLength("GET_QOS_CAPS", body, 0);
    return buildQosCaps({ vsiId: options.vsiId, classes: [SINGLE_CLASS] });
  },
};

/** Rates are checked and accepted; this model's wire has no rate to share. */
export const configQueueRates: PfHandler = {
  run({ options, state }, body) {
    const { vsiId, rates } = parseQueueRates(body);
    if (vsiId !== options.vsiId || rates.length > state.queuePairs) return PARAM;
    const wrong = rates.some(
      ({ queue, trafficClass }) => queue > state.queuePairs || trafficClass >= MAX_CLASSES,
    );
    return wrong ? PARAM : SUCCESS;
  },
};

export const configQuanta: PfHandler = {
  run({ state }, body) {
    const { quanta, firstQueue, queues } = parseQuanta(body);
    if (firstQueue + queues > state.queuePairs) return PARAM;
    const sized = quanta >= QUANTA.min && quanta <= QUANTA.max && quanta % QUANTA.step === 0;
    return sized ? SUCCESS : PARAM;
  },
};
