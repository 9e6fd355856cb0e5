import type { Timer } from "@vfmig/core";
import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { asksNoReport } from "./infer.ts";
import { leave } from "./leave.ts";
import { any, NO_HALF, type PairParts } from "./pair-requests.ts";
import { type Patience, readyHalves, rxIsNear, txIsAtWrap } from "./ready.ts";
import type { SwitchLog } from "@vfmig/shadow-queue";

/** Milliseconds for which a pair is watched before it may be stopped far from its Rx ring's end. */
const PATIENCE_MS = 20;
/** Milliseconds after which the next pair is looked at. */
const TURN_MS = 150;
/** Milliseconds for which frames of the guest may wait at the end of its Tx ring for Rx. */
const HOLD_MS = 5;
/** Milliseconds between two rounds in which no pair could go back, at most. */
const REST_MS = 500;
/** Milliseconds between two looks at a pair on which nothing moves. */
const LOOK_MS = 5;

export interface HandBackParts {
  readonly parts: () => PairParts;
  readonly log: SwitchLog;
  /** Runs one switch when no other runs. */
  readonly exclusively: <T>(run: () => Promise<T>) => Promise<T>;
}

/**
 * Gives pairs back to the guest's rings, one after the other, while nothing needs them relayed. The
 * moment is each pair's own, so the one whose turn it is is looked at whenever its relay moves.
 */
export class HandBack {
  readonly #parts: HandBackParts;
  #on = false;
  #busy = false;
  /** The device has not taken DUMMY descriptors: Tx goes back at the end of its ring only. */
  #noDummies = false;
  #candidate: QueuePair | undefined;
  #since = 0;
  /** Where the candidate's Rx was then. */
  #rxBegan = 0;
  /** Where its Tx was at the last look, and since when. */
  #txWas = 0;
  #txMoved = 0;
  /** Since when its Tx is at the end of its ring. */
  #atWrapSince = Infinity;
  /** Pairs in a row that could not go back. */
  #missed = 0;
  #timer: Timer | undefined;

  constructor(parts: HandBackParts) {
    this.#parts = parts;
  }

  /** Begins, or goes on with pairs that have come back to it, where the options allow it. */
  begin(): void {
    if (this.#parts.parts().context.options.handBack) {
      this.#missed = this.#on && this.#candidate !== undefined ? this.#missed : 0;
      this.#on = true;
      this.#look();
    }
  }

  /** Begins no switch any more; one that runs comes to its end. */
  rest(): void {
    this.#on = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#letGo();
  }

  /** A relay has moved. */
  moved(): void {
    if (this.#candidate !== undefined && !this.#busy) {
      this.#look();
    }
  }

  #letGo(): void {
    this.#candidate?.tx.holdAtWrap(false);
    this.#candidate?.rx.holdAtWrap(false);
    this.#candidate = undefined;
  }

  #look(): void {
    if (!this.#on || this.#busy) {
      return;
    }
    const { context, queues, mailbox } = this.#parts.parts();
    const candidate = this.#current();
    if (candidate === undefined) {
      this.#nextLook(queues.pairs.some(({ direct }) => !direct) ? REST_MS : undefined);
      return;
    }
    const waited = context.clock.now() - this.#since;
    const patience = this.#patience(candidate, waited);
    const halves = mailbox.online ? readyHalves(this.#parts.parts(), candidate, patience) : NO_HALF;
    if (any(halves)) {
      void this.#leave(candidate, halves);
      return;
    }
    this.#steer(candidate, patience);
    if (waited >= TURN_MS) {
      this.#letGo();
      this.#missed++;
    }
    this.#nextLook(LOOK_MS);
  }

  #patience({ tx, rx }: QueuePair, waited: number): Patience {
    const now = this.#parts.parts().context.clock.now();
    const { complete } = tx.position;
    if (complete !== this.#txWas || !tx.idle) {
      this.#txWas = complete;
      this.#txMoved = now;
    }
    return {
      over: waited >= PATIENCE_MS,
      rxQuiet: rx.position.complete === this.#rxBegan,
      txQuiet: now - this.#txMoved >= PATIENCE_MS,
      dummies: !this.#noDummies,
    };
  }

  /** A pair that could not stop where it is: neither half waits long for the other. */
  #steer(pair: QueuePair, { over }: Patience): void {
    const { family, context } = this.#parts.parts();
    if (rxIsNear(pair)) {
      // A burst finds at least these slots, with or without a hand-back.
      pair.rx.holdAtWrap(false);
    }
    if (family.halvesApart) {
      return;
    }
    // Rx can stop almost anywhere by now, so that Tx chooses the moment.
    const now = context.clock.now();
    this.#atWrapSince = txIsAtWrap(pair) ? Math.min(this.#atWrapSince, now) : Infinity;
    pair.tx.holdAtWrap(over && now - this.#atWrapSince < HOLD_MS);
  }

  #nextLook(ms: number | undefined): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (ms !== undefined) {
      this.#timer = this.#parts.parts().context.clock.after(ms, () => {
        this.#timer = undefined;
        if (this.#candidate === undefined && ms === REST_MS) {
          this.#missed = 0;
        }
        this.#look();
      });
    }
  }

  /** The pair whose turn it is; none after a round in which none could go back. */
  #current(): QueuePair | undefined {
    const { queues, context, family } = this.#parts.parts();
    const known = this.#candidate;
    if (known !== undefined && queues.pair(known.queue) === known && !known.direct) {
      return known;
    }
    this.#candidate = undefined;
    const left = queues.pairs.filter(({ direct }) => !direct);
    if (this.#missed >= left.length) {
      return undefined;
    }
    const next = left[this.#missed];
    if (next === undefined) {
      return undefined;
    }
    // It could not be put on private rings again.
    if (asksNoReport(context.memory, next.config.tx)) {
      this.#missed++;
      return this.#current();
    }
    this.#candidate = next;
    this.#since = context.clock.now();
    this.#rxBegan = next.rx.position.complete;
    this.#txWas = next.tx.position.complete;
    this.#txMoved = this.#since;
    this.#atWrapSince = Infinity;
    next.rx.holdAtWrap(true);
    next.tx.holdAtWrap(family.halvesApart);
    return next;
  }

  async #leave(pair: QueuePair, halves: Halves): Promise<void> {
    this.#busy = true;
    const { exclusively, log } = this.#parts;
    const { mailbox, context } = this.#parts.parts();
    const release = mailbox.holdGuest();
    try {
      const result = await exclusively(() =>
        leave(this.#parts.parts(), pair, halves, {
          log,
          hurried: () => !this.#on,
        }),
      );
      this.#missed = result === "done" ? 0 : this.#missed + 1;
      this.#parts.parts().doorbells.stir();
      this.#noDummies ||= result === "unwalked";
      if (result !== "done") {
        context.logger.info("a queue pair stays relayed for now", { queue: pair.queue, result });
      }
    } catch (error) {
      this.#missed++;
      context.logger.error("a queue pair could not go back to the guest's rings", {
        queue: pair.queue,
        cause: String(error),
      });
    } finally {
      release();
      this.#busy = false;
      this.#letGo();
      this.#look();
    }
  }
}
