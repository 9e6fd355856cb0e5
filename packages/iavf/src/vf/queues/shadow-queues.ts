import { rxTail, VF_REGISTER_COUNT } from "../../registers.ts";
import {
  buildQueueConfig,
  parseQueueConfig,
  parseQueueSelect,
  type QueueConfig,
  type QueueSelect,
} from "../../virtchnl/queues.ts";
import type { HalfMode, Halves } from "./halves.ts";
import { judgePair } from "./judge.ts";
import { type PairParts, QueuePair } from "./queue-pair.ts";
import { QueueRelays } from "./relays.ts";
import type { RingPool } from "./ring-memory.ts";
import { GuestTails } from "./tails.ts";

/**
 * All queue pairs of the function. A pair that is relayed from its configuration on has private rings
 * in the device, and the guest's are never told to it; others run on the guest's own until the
 * controller of shadow mode changes that.
 */
export class ShadowQueues {
  /** Pairs that are configured from now on are relayed. */
  relayNew = true;
  readonly tails: GuestTails;
  readonly relays: QueueRelays;
  readonly #parts: PairParts;
  readonly #pool: RingPool;
  readonly #pairs: (QueuePair | undefined)[] = [];
  /** Pairs that the PF was asked for and has not granted, oldest request first. */
  readonly #asked: QueuePair[][] = [];
  /** Queues that the device runs, or was asked to run: bit n is queue n. */
  readonly #running = { txQueues: 0, rxQueues: 0 };
  #interposed = 0;

  constructor(parts: PairParts, pool: RingPool) {
    this.#parts = parts;
    this.#pool = pool;
    this.tails = new GuestTails({
      ...parts,
      pair: (queue) => this.#pairs[queue],
      unconfigured: () => (this.relayNew ? "relay" : "direct"),
      asked: this.#running,
    });
    this.relays = new QueueRelays(this.#pairs);
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
    return this.#running;
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
      this.tails.restartTx(pair.queue);
      this.#start(
        pair,
        this.#bit(this.#running.txQueues, pair),
        this.#bit(this.#running.rxQueues, pair),
        frozen,
      );
    }
  }

  /**
   * A guest asks for queues to run. The tails of private rings have to be 0 before they do; on its own
   * ring the guest's Rx tail counts, which it may have written while writes were kept from the device.
   */
  enabling(select: QueueSelect): void {
    for (const pair of this.pairs) {
      const tx = this.#bit(select.txQueues & ~this.#running.txQueues, pair);
      const rx = this.#bit(select.rxQueues & ~this.#running.rxQueues, pair);
      pair.clearTails(tx && pair.half.tx.mode !== "direct", rx && pair.half.rx.mode !== "direct");
      if (rx && pair.half.rx.mode === "direct" && !this.tails.unseen) {
        this.#parts.registers.write(rxTail(pair.queue), this.tails.rx(pair.queue));
      }
    }
    this.markAsked(select.txQueues, select.rxQueues);
  }

  /** Counts queues as running on the device, or about to. */
  markAsked(txQueues: number, rxQueues: number): void {
    this.#running.txQueues |= txQueues;
    this.#running.rxQueues |= rxQueues;
  }

  /** The device has stopped these queues. */
  markStopped(txQueues: number, rxQueues: number): void {
    this.#running.txQueues &= ~txQueues;
    this.#running.rxQueues &= ~rxQueues;
  }

  /** The PF granted an ENABLE_QUEUES of the guest. */
  enabled(body: Uint8Array, frozen: boolean): void {
    const select = parseQueueSelect(body);
    // A guest that does not wait for answers may have had them stopped after it asked for this.
    this.markAsked(select.txQueues, select.rxQueues);
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
    const lapped = this.tails.unseen ? undefined : false;
    pair.half.tx.lapped = tx ? lapped : pair.half.tx.lapped;
    pair.half.rx.lapped = rx ? lapped : pair.half.rx.lapped;
    if (tx && pair.half.tx.mode === "relay") {
      pair.tx.start({ complete: 0, tail: 0 });
      this.#pausedIf(frozen, pair.tx);
      pair.tx.kick(this.tails.tx(pair.queue));
    }
    if (rx && pair.half.rx.mode === "relay") {
      pair.rx.start({ complete: 0, tail: 0 });
      this.#pausedIf(frozen, pair.rx);
      pair.rx.kick(this.tails.rx(pair.queue));
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
        this.tails.restartTx(pair.queue);
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

  /** Forgets every pair: the VF was reset. Rx tails stay, as in hardware. */
  reset(): void {
    for (const pair of [...this.pairs, ...this.#asked.flat()]) {
      this.#end(pair);
      this.#pool.giveBack(pair.rings);
    }
    this.#pairs.length = 0;
    this.#asked.length = 0;
    this.tails.reset();
    this.#running.txQueues = 0;
    this.#running.rxQueues = 0;
    this.#count();
  }
}
