import type { DirtySink, GuestMemory, Logger } from "@vfmig/core";
import { rxRingCodec, txRingCodec } from "../../descriptors/ring-codecs.ts";
import { rxTail, txTail } from "../../registers.ts";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import type { QueuePairConfig } from "../../virtchnl/queues.ts";
import { type RelayFault, RingRelay } from "@vfmig/shadow-queue";
import type { TailReadBack } from "../doorbells/read-back.ts";
import type { VfFamily } from "../family.ts";
import { type HalfMode, type HalfState, newHalf } from "./halves.ts";
import type { RingMemory } from "./ring-memory.ts";

export interface PairParts {
  readonly family: VfFamily;
  readonly registers: RegisterAccess;
  readonly memory: GuestMemory;
  readonly dirty: DirtySink;
  readonly logger: Logger;
  /** Sees the tails that reach the device as the guest wrote them; absent where nobody asks. */
  readonly readBack?: TailReadBack | undefined;
}

/** One queue pair: the guest's rings, private ones, and relays between them for when they are used. */
export class QueuePair {
  readonly config: QueuePairConfig;
  readonly rings: RingMemory;
  readonly tx: RingRelay;
  readonly rx: RingRelay;
  readonly half: { readonly tx: HalfState; readonly rx: HalfState };
  readonly #registers: RegisterAccess;

  /**
   * @param mode - on whose rings the device begins
   * @throws VfmigError `ERR_VFMIG_SHADOW_RING`
   */
  constructor(config: QueuePairConfig, rings: RingMemory, parts: PairParts, mode: HalfMode) {
    this.config = config;
    this.rings = rings;
    this.half = { tx: newHalf(mode), rx: newHalf(mode) };
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

  /** Both halves are relayed. */
  get relayed(): boolean {
    return this.half.tx.mode === "relay" && this.half.rx.mode === "relay";
  }

  /** The device works on both of the guest's rings. */
  get direct(): boolean {
    return this.half.tx.mode === "direct" && this.half.rx.mode === "direct";
  }

  /** The pair on private rings. */
  get privateConfig(): QueuePairConfig {
    return {
      tx: { ...this.config.tx, base: this.rings.tx.iova },
      rx: { ...this.config.rx, base: this.rings.rx.iova },
    };
  }

  /** The pair as the device is told of it. */
  get deviceConfig(): QueuePairConfig {
    const { tx, rx } = this.privateConfig;
    return {
      tx: this.half.tx.mode === "direct" ? this.config.tx : tx,
      rx: this.half.rx.mode === "direct" ? this.config.rx : rx,
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
