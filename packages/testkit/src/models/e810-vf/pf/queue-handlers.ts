import { VIRTCHNL_STATUS, parseIrqMap, parseQueueSelect, type QueueSelect } from "@vfmig/iavf";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";

/** Queues of a VF, and so bits of a queue bitmap. */
const MAX_QUEUES = 16;

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

/** Maps add up: a queue stays with its vector until a map names it again. */
export const configIrqMap: PfHandler = {
  run(hardware, body) {
    const { vectors, vsiId } = hardware.options;
    const maps = parseIrqMap(body);
    if (maps.length > vectors) return PARAM;
    for (const { vector, vsiId: vsi, rxQueues, txQueues, rxItr, txItr } of maps) {
      if (vector >= vectors || vsi !== vsiId) return PARAM;
      // The mailbox's vector takes no queues, and needs no map.
      if (vector === 0 && (rxQueues | txQueues) !== 0) return PARAM;
      if (vector === 0) continue;
      for (const index of queuesOf(rxQueues)) {
        if (index >= hardware.state.queuePairs) return PARAM;
        Object.assign(hardware.receiver.queues[index]!, { vector, itr: rxItr & 3 });
      }
      for (const index of queuesOf(txQueues)) {
        if (index >= hardware.state.queuePairs) return PARAM;
        const cause = { vector, itr: txItr & 3, causeOpen: true };
        Object.assign(hardware.transmitter.queues[index]!, cause);
      }
    }
    return SUCCESS;
  },
};

/** Tx queues run since they were configured: only their interrupt is opened. */
export const enableQueues: PfHandler = {
  tellsLink: true,
  run(hardware, body) {
    const select = selected(hardware, body);
    if (select === undefined) return PARAM;
    for (const index of queuesOf(select.rxQueues)) {
      const queue = hardware.receiver.queues[index]!;
      if (index >= hardware.state.queuePairs) return PARAM;
      if (queue.enabled) continue;
      if (!queue.usable) return PARAM;
      queue.enable();
    }
    for (const index of queuesOf(select.txQueues)) {
      if (index >= hardware.state.queuePairs) return PARAM;
      hardware.transmitter.queues[index]!.causeOpen = true;
    }
    return SUCCESS;
  },
};

/** Tx first, then Rx. */
export const disableQueues: PfHandler = {
  run(hardware, body) {
    const select = selected(hardware, body);
    if (select === undefined) return PARAM;
    for (const index of queuesOf(select.txQueues)) {
      if (index >= hardware.state.queuePairs) return PARAM;
      stopTx(hardware, index);
    }
    for (const index of queuesOf(select.rxQueues)) {
      if (index >= hardware.state.queuePairs) return PARAM;
      hardware.receiver.cutOff(hardware.receiver.queues[index]!.disable());
    }
    return SUCCESS;
  },
};

/** Stops a Tx queue, running or not, and shuts its interrupt until ENABLE_QUEUES or a new map. */
export function stopTx({ transmitter }: PfHardware, index: number): void {
  const queue = transmitter.queues[index]!;
  queue.disable();
  queue.causeOpen = false;
}

function selected({ options }: PfHardware, body: Uint8Array): QueueSelect | undefined {
  const select = parseQueueSelect(body);
  const limit = 2 ** MAX_QUEUES;
  const some = select.rxQueues !== 0 || select.txQueues !== 0;
  const within = select.rxQueues < limit && select.txQueues < limit;
  return some && within && select.vsiId === options.vsiId ? select : undefined;
}

function queuesOf(bitmap: number): number[] {
  return Array.from({ length: MAX_QUEUES }, (_, index) => index).filter(
    (index) => ((bitmap >>> index) & 1) === 1,
  );
}
