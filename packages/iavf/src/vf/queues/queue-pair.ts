import type { DirtySink, GuestMemory, Logger } from "@vfmig/core";
import { rxRingCodec, txRingCodec } from "../../descriptors/ring-codecs.ts";
import { rxTail, txTail } from "../../registers.ts";
import type { RegisterAccess } from "../../registers/register-access.ts";
import type { QueuePairConfig } from "../../virtchnl/queues.ts";
import { type RelayFault, RingRelay } from "@vfmig/shadow-queue";
import type { VfFamily } from "../family.ts";
import type { RingMemory } from "./ring-memory.ts";

export interface PairParts {
  readonly family: VfFamily;
  readonly registers: RegisterAccess;
  readonly memory: GuestMemory;
  readonly dirty: DirtySink;
  readonly logger: Logger;
}

/** One queue pair whose device rings are private. */
export class QueuePair {
  readonly config: QueuePairConfig;
  readonly rings: RingMemory;
  readonly tx: RingRelay;
  readonly rx: RingRelay;
  readonly #registers: RegisterAccess;

  /** @throws VfmigError `ERR_VFMIG_SHADOW_RING` */
  constructor(config: QueuePairConfig, rings: RingMemory, parts: PairParts) {
    this.config = config;
    this.rings = rings;
    this.#registers = parts.registers;
    const { queue } = config.tx;
    const shared = { memory: parts.memory, dirty: parts.dirty };
    this.tx = new RingRelay({
      ...shared,
      codec: txRingCodec,
      guest: { base: config.tx.base, count: config.tx.length },
      ring: { data: rings.tx.data, count: config.tx.length },
      doorbell: (tail) => parts.registers.write(txTail(queue), tail),
      onFault: (fault) => report(parts.logger, "tx", queue, fault),
    });
    this.rx = new RingRelay({
      ...shared,
      codec: rxRingCodec(config.rx.bufferSize, config.rx.rxdid),
      guest: { base: config.rx.base, count: config.rx.length },
      ring: { data: rings.rx.data, count: config.rx.length },
      doorbell: (tail) => parts.registers.write(rxTail(queue), tail),
      onFault: (fault) => report(parts.logger, "rx", queue, fault),
    });
  }

  get queue(): number {
    return this.config.tx.queue;
  }

  /** The pair as the device is told of it: on private rings. */
  get deviceConfig(): QueuePairConfig {
    return {
      tx: { ...this.config.tx, base: this.rings.tx.iova },
      rx: { ...this.config.rx, base: this.rings.rx.iova },
    };
  }

  /** The device's tails at 0: a reset of the VF leaves an old Rx tail, which would mean stale slots. */
  clearTails(tx: boolean, rx: boolean): void {
    if (tx) {
      this.#registers.write(txTail(this.queue), 0);
    }
    if (rx) {
      this.#registers.write(rxTail(this.queue), 0);
    }
  }
}

function report(logger: Logger, ring: string, queue: number, fault: RelayFault): void {
  logger.warn(`the ${ring} relay of queue ${queue} waits: ${fault.kind}`, {
    queue,
    ring,
    ...fault,
  });
}
