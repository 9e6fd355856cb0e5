/** The tests' bare driver with long rings, for measuring a model. */
import type { VfioDevice } from "@vfmig/core";
import {
  buildRssKey,
  buildRssLut,
  IAVF_6_1_CAPS,
  TX_COMMAND,
  VIRTCHNL_OP as OP,
} from "@vfmig/iavf";
import type { ManualClock } from "@vfmig/testkit";
import { BareDriver } from "../src/models/intel-vf/testing/bare-driver.ts";
import { Layout } from "../src/models/intel-vf/testing/layout.ts";

/** Descriptors of each ring. */
export const RING = 512;

/** Frames of one round on each queue: what a busy guest finds at one poll or posts at one time. */
export const BATCH = 64;

const BUFFER = 2048;
const COMMAND = TX_COMMAND.EOP | TX_COMMAND.RS | TX_COMMAND.ICRC;

export class MeasuredDriver extends BareDriver {
  constructor(device: VfioDevice, clock: ManualClock, queues: number) {
    const layout = new Layout({ iova: 0, queues, slots: RING, slotBytes: BUFFER });
    super(device, layout, () => clock.runSoon());
    this.negotiate(IAVF_6_1_CAPS);
    const { vsiId } = this;
    const key = Uint8Array.from({ length: 52 }, (_, index) => (index * 167 + 29) & 0xff);
    const lut = Uint8Array.from({ length: 64 }, (_, entry) => entry % queues);
    this.answer(OP.CONFIG_RSS_KEY, buildRssKey({ vsiId, key }));
    this.answer(OP.CONFIG_RSS_LUT, buildRssLut({ vsiId, lut }));
    this.startQueues(queues, RING, BUFFER);
  }

  /** The PF has to grant what is asked: a queue that does not run would measure nothing. */
  override answer(opcode: number, body?: Uint8Array): ReturnType<BareDriver["answer"]> {
    const answer = super.answer(opcode, body);
    if (answer.status === 0) return answer;
    throw new Error(`request ${opcode} ended with status ${answer.status}`);
  }

  /** Posts `count` Rx descriptors from ring place `first`; the tail is written apart. */
  post(queue: number, first: number, count: number): void {
    for (let n = 0; n < count; n++) this.postRx(queue, (first + n) % RING);
  }

  /** Fills `count` Tx descriptors, one frame each; the tail is written apart. */
  fill(queue: number, first: number, count: number, bytes: number): void {
    for (let n = 0; n < count; n++) this.postTx(queue, (first + n) % RING, bytes, COMMAND);
  }
}
