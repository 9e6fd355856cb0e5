import { QUEUE_TAIL_MASK, rxTail, txTail, VF_REGISTER_COUNT } from "../../registers.ts";
import {
  buildQueueConfig,
  parseQueueConfig,
  parseQueueSelect,
  type QueueConfig,
  type QueueSelect,
} from "../../virtchnl/queues.ts";
import type { RingPosition } from "@vfmig/shadow-queue";
import type { HalfMode, Halves } from "./halves.ts";
import { judgePair } from "./judge.ts";
import { type PairParts, QueuePair } from "./queue-pair.ts";
import type { RingPool } from "./ring-memory.ts";

/** Where the guest stands on one queue, in guest slots. */
export interface GuestQueueState {
  readonly queue: number;
  readonly tx: RingPosition;
  readonly rx: RingPosition;
}

/** A frame of our own, in memory that the device reaches. */
export interface OwnFrame {
  readonly iova: number;
  readonly length: number;
}

/** Guest indices of a queue at a stop: the next slot that will be completed. */
export interface QueueIndices {
  readonly queue: number;
  readonly tx: number;
  readonly rx: number;
}

/**
 * All queue pairs of the function. A pair that is relayed from its configuration on has private rings
 * in the device, and the guest's are never told to it; others run on the guest's own until the
 * controller of shadow mode changes that.
 */
export class ShadowQueues {
  /** Pairs that are configured from now on are relayed. */
  relayNew = true;
  readonly #parts: PairParts;
  readonly #pool: RingPool;
  readonly #pairs: (QueuePair | undefined)[] = [];
  /** Pairs that the PF was asked for and has not granted, oldest request first. */
  readonly #asked: QueuePair[][] = [];
  readonly #txTails: number[] = Array.from({ length: VF_REGISTER_COUNT.queues }, () => 0);
  readonly #rxTails: number[] = Array.from({ length: VF_REGISTER_COUNT.queues }, () => 0);
  /** Queues that the device runs, or was asked to run: bit n is queue n. */
  #txAsked = 0;
  #rxAsked = 0;
  #interposed = 0;

  constructor(parts: PairParts, pool: RingPool) {
    this.#parts = parts;
    this.#pool = pool;
  }

  get pairs(): readonly QueuePair[] {
    return this.#pairs.filter((pair) => pair !== undefined);
  }

  pair(queue: number): QueuePair | undefined {
    return this.#pairs[queue];
  }

  /** Queues, by bit, of which a half is not the guest's and the device's alone. */
  get interposed(): number {
    return this.#interposed;
  }

  /** Changes who works on the rings of these halves. */
  setMode(pair: QueuePair, { tx, rx }: Halves, mode: HalfMode): void {
    pair.half.tx.mode = tx ? mode : pair.half.tx.mode;
    pair.half.rx.mode = rx ? mode : pair.half.rx.mode;
    this.#count();
  }

  #count(): void {
    this.#interposed = this.pairs.reduce(
      (queues, pair) => queues | (pair.direct ? 0 : 1 << pair.queue),
      0,
    );
  }

  /** The PF has not answered a configuration of the guest. */
  get configuring(): boolean {
    return this.#asked.length > 0;
  }

  /** What has to be disabled at a stop. */
  get asked(): { readonly txQueues: number; readonly rxQueues: number } {
    return { txQueues: this.#txAsked, rxQueues: this.#rxAsked };
  }

  readTxTail(queue: number): number {
    return this.#mode(this.#pairs[queue]?.half.tx.mode) === "direct"
      ? this.#parts.registers.read(txTail(queue))
      : this.txTail(queue);
  }

  /** Some hardware keeps Rx tails in multiples of 8. */
  readRxTail(queue: number): number {
    return this.#mode(this.#pairs[queue]?.half.rx.mode) === "direct"
      ? this.#parts.registers.read(rxTail(queue))
      : this.rxTail(queue) & this.#parts.family.rxTailMask;
  }

  /** As the guest last wrote it. */
  txTail(queue: number): number {
    return this.#txTails[queue] ?? 0;
  }

  /** As the guest last wrote it, low bits included. */
  rxTail(queue: number): number {
    return this.#rxTails[queue] ?? 0;
  }

  writeTxTail(queue: number, value: number): void {
    const pair = this.#pairs[queue];
    const tail = value & QUEUE_TAIL_MASK;
    if (pair !== undefined && tail < this.txTail(queue)) {
      pair.half.tx.lapped = true;
    }
    this.#txTails[queue] = tail;
    const mode = this.#mode(pair?.half.tx.mode);
    if (mode === "direct") {
      this.#parts.registers.write(txTail(queue), value);
    } else if (mode === "relay") {
      pair?.tx.kick(tail);
    }
  }

  writeRxTail(queue: number, value: number): void {
    const pair = this.#pairs[queue];
    const tail = value & QUEUE_TAIL_MASK;
    if (pair !== undefined && tail < this.rxTail(queue)) {
      pair.half.rx.lapped = true;
    }
    this.#rxTails[queue] = tail;
    const mode = this.#mode(pair?.half.rx.mode);
    if (mode === "direct") {
      this.#parts.registers.write(rxTail(queue), value);
    } else if (mode === "relay") {
      pair?.rx.kick(tail);
    }
  }

  /** A queue that was never configured is as those that are configured next. */
  #mode(mode: HalfMode | undefined): HalfMode {
    return mode ?? (this.relayNew ? "relay" : "direct");
  }

  /**
   * A guest's CONFIG_VSI_QUEUES: the body for the device, with private rings in place of the guest's
   * where pairs are relayed from now on, or why the pairs cannot be relayed.
   * @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY`
   */
  configure(body: Uint8Array): Uint8Array | string {
    const config = parseQueueConfig(body);
    const seen = new Set<number>();
    for (const pair of config.pairs) {
      const problem =
        judgePair(pair, this.#parts.family, this.#parts.memory) ??
        (pair.tx.queue >= VF_REGISTER_COUNT.queues || seen.has(pair.tx.queue)
          ? `queue ${pair.tx.queue} is out of range or named twice`
          : undefined);
      if (problem !== undefined) {
        return problem;
      }
      seen.add(pair.tx.queue);
    }
    const pairs = this.build(config, this.relayNew ? "relay" : "direct");
    this.#asked.push(pairs);
    return buildQueueConfig({
      vsiId: config.vsiId,
      pairs: pairs.map((pair) => pair.deviceConfig),
    });
  }

  /** Pairs with fresh private rings, not in use yet. */
  build(config: Pick<QueueConfig, "pairs">, mode: HalfMode = "relay"): QueuePair[] {
    return config.pairs.map((pair) => new QueuePair(pair, this.#pool.lend(), this.#parts, mode));
  }

  /** Takes pairs into use in place of what was there; their rings are lent back. */
  adopt(pairs: readonly QueuePair[]): void {
    for (const pair of pairs) {
      const old = this.#pairs[pair.queue];
      if (old !== undefined) {
        this.#end(old);
        this.#pool.giveBack(old.rings);
      }
      this.#pairs[pair.queue] = pair;
    }
    this.#count();
  }

  /** The PF's answer to the oldest configuration. */
  configured(granted: boolean, frozen: boolean): void {
    const pairs = this.#asked.shift() ?? [];
    if (!granted) {
      for (const pair of pairs) {
        this.#pool.giveBack(pair.rings);
      }
      return;
    }
    this.adopt(pairs);
    for (const pair of pairs) {
      // A configuration starts the guest's Tx ring anew; its Rx tail may have been written before.
      this.#txTails[pair.queue] = 0;
      this.#start(pair, this.#bit(this.#txAsked, pair), this.#bit(this.#rxAsked, pair), frozen);
    }
  }

  /**
   * A guest asks for queues to run. The tails of private rings have to be 0 before they do; on its own
   * ring the guest's Rx tail counts, which it may have written while writes were kept from the device.
   */
  enabling(select: QueueSelect): void {
    for (const pair of this.pairs) {
      const tx = this.#bit(select.txQueues & ~this.#txAsked, pair);
      const rx = this.#bit(select.rxQueues & ~this.#rxAsked, pair);
      pair.clearTails(tx && pair.half.tx.mode !== "direct", rx && pair.half.rx.mode !== "direct");
      if (rx && pair.half.rx.mode === "direct") {
        this.#parts.registers.write(rxTail(pair.queue), this.rxTail(pair.queue));
      }
    }
    this.markAsked(select.txQueues, select.rxQueues);
  }

  /** Counts queues as running on the device, or about to. */
  markAsked(txQueues: number, rxQueues: number): void {
    this.#txAsked |= txQueues;
    this.#rxAsked |= rxQueues;
  }

  /** The device has stopped these queues. */
  markStopped(txQueues: number, rxQueues: number): void {
    this.#txAsked &= ~txQueues;
    this.#rxAsked &= ~rxQueues;
  }

  /** The PF granted an ENABLE_QUEUES of the guest. */
  enabled(body: Uint8Array, frozen: boolean): void {
    const select = parseQueueSelect(body);
    for (const pair of this.pairs) {
      this.#start(
        pair,
        this.#bit(select.txQueues, pair) && !pair.tx.running,
        this.#bit(select.rxQueues, pair) && !pair.rx.running,
        frozen,
      );
    }
  }

  /** A queue that begins, begins at 0 on both sides. */
  #start(pair: QueuePair, tx: boolean, rx: boolean, frozen: boolean): void {
    pair.half.tx.lapped &&= !tx;
    pair.half.rx.lapped &&= !rx;
    if (tx && pair.half.tx.mode === "relay") {
      pair.tx.start({ complete: 0, tail: 0 });
      this.#pausedIf(frozen, pair.tx);
      pair.tx.kick(this.txTail(pair.queue));
    }
    if (rx && pair.half.rx.mode === "relay") {
      pair.rx.start({ complete: 0, tail: 0 });
      this.#pausedIf(frozen, pair.rx);
      pair.rx.kick(this.rxTail(pair.queue));
    }
  }

  #pausedIf(frozen: boolean, relay: { pause(): void }): void {
    if (frozen) {
      relay.pause();
    }
  }

  /** The PF granted a DISABLE_QUEUES of the guest. */
  disabled(body: Uint8Array): void {
    const select = parseQueueSelect(body);
    this.markStopped(select.txQueues, select.rxQueues);
    for (const pair of this.pairs) {
      if (this.#bit(select.txQueues, pair)) {
        pair.tx.complete();
        pair.tx.pause();
        this.#txTails[pair.queue] = 0;
      }
      if (this.#bit(select.rxQueues, pair)) {
        pair.rx.complete();
        pair.rx.pause();
        pair.rx.markPosted();
      }
    }
  }

  #end(pair: QueuePair): void {
    pair.tx.pause();
    pair.rx.pause();
    pair.rx.markPosted();
  }

  #bit(mask: number, pair: QueuePair): boolean {
    return ((mask >>> pair.queue) & 1) === 1;
  }

  /** Takes finished descriptors of the given queues to the guest; returns how many slots. */
  complete(txQueues: number, rxQueues: number): number {
    let finished = 0;
    for (let queue = 0; queue < this.#pairs.length; queue++) {
      const pair = this.#pairs[queue];
      if (pair !== undefined) {
        finished += ((txQueues >>> queue) & 1) === 1 ? pair.tx.complete() : 0;
        finished += ((rxQueues >>> queue) & 1) === 1 ? pair.rx.complete() : 0;
      }
    }
    return finished;
  }

  /** No further frame of the guest is given to the device; what it has goes on. */
  pauseTx(): void {
    for (const pair of this.pairs) {
      pair.tx.pause();
    }
  }

  /** Frames that the device still holds. */
  get txOutstanding(): number {
    return this.pairs.reduce((sum, pair) => sum + pair.tx.outstanding, 0);
  }

  /** Ends {@link pauseTx} for the queues that the guest runs. */
  resumeTx(txQueues: number): void {
    for (const pair of this.pairs) {
      if (this.#bit(txQueues, pair)) {
        pair.tx.resume();
      }
    }
  }

  /** The last relay before the device is silent: all that is done reaches the guest. */
  finish(): void {
    for (const pair of this.pairs) {
      // Paused first, so that taking descriptors back gives the device no new ones.
      pair.tx.pause();
      pair.rx.pause();
      pair.tx.complete();
      pair.rx.complete();
      pair.rx.markPosted();
    }
  }

  /** The device is at 0 of empty rings: the queues that the guest runs go on where the guest is. */
  go(txQueues: number, rxQueues: number, frames: readonly OwnFrame[]): void {
    // Buffers first: what is announced below brings frames at once.
    for (const pair of this.pairs) {
      if (this.#bit(rxQueues, pair)) {
        pair.rx.start(pair.rx.position);
        pair.rx.forward();
      }
    }
    let own = frames;
    for (const pair of this.pairs) {
      if (this.#bit(txQueues, pair)) {
        pair.tx.start(pair.tx.position);
        for (const frame of own) {
          pair.tx.inject(frame.iova, frame.length);
        }
        own = [];
        pair.tx.forward();
      }
    }
  }

  /** Sets where the guest stands, as another host saw it. Nothing moves until {@link go}. */
  place(states: readonly GuestQueueState[]): void {
    for (const state of states) {
      const pair = this.#pairs[state.queue];
      for (const [relay, position] of [
        [pair?.tx, state.tx],
        [pair?.rx, state.rx],
      ] as const) {
        relay?.start(position);
        relay?.pause();
      }
    }
  }

  /** Where the guest stands on every pair. */
  positions(): GuestQueueState[] {
    return this.pairs.map((pair) => ({
      queue: pair.queue,
      tx: pair.tx.position,
      rx: pair.rx.position,
    }));
  }

  indices(): QueueIndices[] {
    return this.pairs.map((pair) => ({
      queue: pair.queue,
      tx: pair.tx.position.complete,
      rx: pair.rx.position.complete,
    }));
  }

  /** The tails as the guest wrote them. */
  tails(): { readonly tx: readonly number[]; readonly rx: readonly number[] } {
    return { tx: [...this.#txTails], rx: [...this.#rxTails] };
  }

  loadTails(tails: { readonly tx: readonly number[]; readonly rx: readonly number[] }): void {
    for (let queue = 0; queue < VF_REGISTER_COUNT.queues; queue++) {
      this.#txTails[queue] = tails.tx[queue] ?? 0;
      this.#rxTails[queue] = tails.rx[queue] ?? 0;
    }
  }

  /** Forgets every pair: the VF was reset. Rx tails stay, as in hardware. */
  reset(): void {
    for (const pair of [...this.pairs, ...this.#asked.flat()]) {
      this.#end(pair);
      this.#pool.giveBack(pair.rings);
    }
    this.#pairs.length = 0;
    this.#asked.length = 0;
    this.#txTails.fill(0);
    this.#txAsked = 0;
    this.#rxAsked = 0;
    this.#count();
  }
}
