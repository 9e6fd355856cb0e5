import {
  RXDID,
  VF_CAP,
  VIRTCHNL_STATUS,
  parseQueueConfig,
  type QueuePairConfig,
  type RxQueueConfig,
} from "@vfmig/iavf";
import type { PfHandler, PfHardware } from "../../intel-vf/pf/handler.ts";
import { MAX_RING } from "../../intel-vf/tx-packet.ts";
import { stopTx } from "./queue-handlers.ts";
import { RX_FORMATS } from "./resources.ts";

/** Limits of a ring and of a receive context, from the PF's checks. */
const RING = { min: 64, step: 32 } as const;
const RX_LIMIT = { minBuffer: 1024, maxBuffer: 16 * 1024 - 128, minPacket: 64 } as const;

/** Longest frame of the port, where the VF was told none. */
const PORT_FRAME = 9_728;

const { PARAM, SUCCESS } = VIRTCHNL_STATUS;

/**
 * Element by element: the Tx half is stopped, configured and runs from then on; the Rx half is configured
 * and waits for ENABLE_QUEUES. A half of ring length 0 is left alone. A bad element stops the queues
 * whose numbers are those of the elements so far, whichever queues they named.
 */
export const configQueues: PfHandler = {
  run(hardware, body) {
    const { vsiId, pairs } = parseQueueConfig(body);
    if (vsiId !== hardware.options.vsiId || pairs.length > hardware.state.queuePairs) return PARAM;
    const crc = pairs.findIndex(({ rx }) => rx.crcDisable !== 0 && !mayKeepCrc(hardware));
    const bad = crc === -1 ? pairs.findIndex((pair) => !configurePair(hardware, vsiId, pair)) : crc;
    if (bad === -1) return SUCCESS;
    for (let queue = bad; queue >= 0; queue--) {
      hardware.receiver.cutOff(hardware.receiver.queues[queue]!.disable());
      stopTx(hardware, queue);
    }
    return PARAM;
  },
};

/** The check sequence stays only where it was granted and no tag is stripped. */
function mayKeepCrc({ state, filters }: PfHardware): boolean {
  const granted = (state.granted & VF_CAP.CRC) !== 0;
  return granted && !filters.stripVlan && filters.stripOuterType === 0;
}

function configurePair(hardware: PfHardware, vsiId: number, { tx, rx }: QueuePairConfig): boolean {
  const sameQueue = rx.queue === tx.queue && tx.queue < hardware.state.queuePairs;
  if (!sameQueue || tx.vsiId !== vsiId || rx.vsiId !== vsiId || tx.headWriteBack) return false;
  if (!isRingLength(tx.length) || !isRingLength(rx.length)) return false;
  if (tx.length > 0) {
    stopTx(hardware, tx.queue);
    const queue = hardware.transmitter.queues[tx.queue]!;
    queue.configure(tx);
    queue.enable();
  }
  return rx.length === 0 || configureRx(hardware, rx);
}

function isRingLength(length: number): boolean {
  if (length === 0) return true;
  return length >= RING.min && length <= MAX_RING && length % RING.step === 0;
}

function configureRx(hardware: PfHardware, rx: RxQueueConfig): boolean {
  const { bufferSize, maxPacket } = rx;
  const sized = bufferSize >= RX_LIMIT.minBuffer && bufferSize <= RX_LIMIT.maxBuffer;
  if (bufferSize !== 0 && !sized) return false;
  const longest = hardware.options.maxFrame === 0 ? PORT_FRAME : hardware.options.maxFrame;
  if (maxPacket > longest || maxPacket < RX_LIMIT.minPacket) return false;
  const flexible = (hardware.state.granted & VF_CAP.RX_FLEX_DESC) !== 0;
  const rxdid = flexible ? rx.rxdid : RXDID.LEGACY_32;
  const queue = hardware.receiver.queues[rx.queue]!;
  hardware.receiver.cutOff(queue.configure(rx, rxdid));
  // The context is written before the format is looked at.
  return ((RX_FORMATS >> BigInt(rxdid)) & 1n) === 1n;
}
