import { vfError } from "../errors.ts";
import { waitUntil } from "@vfmig/core/toolkit";
import type { QueuePair } from "../queues/queue-pair.ts";
import { enter, refuseDoubt } from "./enter.ts";
import { HandBack } from "./hand-back.ts";
import { isCurrent, type PairParts } from "./pair-requests.ts";
import { Stranded } from "./stranded.ts";
import { SwitchLog, SwitchTurns } from "@vfmig/shadow-queue";

/** Who needs the queues relayed: a log of device writes, or a saving session. */
export type ShadowReason = "logging" | "saving";

/**
 * Decides when queues are relayed. In the mode `always` they always are. In `while-saving` the first
 * reason puts every pair on private rings, one after the other; when the last reason is gone, pairs go
 * back to the guest's rings in the background, where that is wanted and as far as it can be done.
 */
export class ShadowController {
  readonly log: SwitchLog;
  /** Queues that stand still although their guest runs them. */
  readonly stranded: Stranded;
  readonly #parts: () => PairParts;
  readonly #reasons = new Set<ShadowReason>();
  readonly #handBack: HandBack;
  /** Each switch costs its pair the frames of two answers of the PF. */
  readonly #turns = new SwitchTurns();
  #entering = 0;
  #closed = false;

  constructor(parts: () => PairParts, clock: ConstructorParameters<typeof SwitchLog>[0]) {
    this.#parts = parts;
    this.log = new SwitchLog(clock);
    this.stranded = new Stranded({
      parts,
      log: this.log,
      exclusively: (run) => this.#turns.take(run),
      onRelayed: () => this.#settle(),
    });
    this.#handBack = new HandBack({
      parts,
      log: this.log,
      exclusively: (run) => this.#turns.take(run),
    });
  }

  /** Why queues are relayed now; in the mode `always` also without a reason. */
  get reasons(): readonly ShadowReason[] {
    return [...this.#reasons];
  }

  /** Queues are relayed, or on their way there; always in the mode `always`. */
  get busy(): boolean {
    return this.#always || this.#reasons.size > 0 || this.#entering > 0;
  }

  /** The device writes nothing but what the relays see. */
  get covers(): boolean {
    return this.#parts().queues.pairs.every(
      ({ half }) => half.tx.mode !== "direct" && half.rx.mode !== "direct",
    );
  }

  get #always(): boolean {
    return this.#parts().context.options.shadow === "always";
  }

  /**
   * Settles when every configured pair is relayed. A reason that is there already only waits for that.
   *
   * @throws VfmigError `ERR_VFMIG_VF_POSITION`, `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`, and those of
   *   {@link Doorbells.trap}; the reason is not there then
   */
  async open(reason: ShadowReason, signal: AbortSignal): Promise<void> {
    this.#reasons.add(reason);
    this.#handBack.rest();
    const { mailbox, doorbells, queues } = this.#parts();
    if (this.#always) {
      queues.relayNew = true;
      return;
    }
    this.#entering++;
    let release = (): void => {};
    try {
      // Before any queue is relayed, which can be only with its tails in our hands.
      await doorbells.trap(signal);
      // The guest's queues stay what they are while pairs change rings.
      release = mailbox.holdGuest();
      queues.relayNew = true;
      await this.#enterAll(signal);
    } catch (error) {
      this.#reasons.delete(reason);
      throw error;
    } finally {
      this.#entering--;
      release();
      this.#settle();
    }
  }

  /** The reason is gone; with the last one, pairs go back in the background. */
  close(reason: ShadowReason): void {
    this.#reasons.delete(reason);
    this.#settle();
  }

  /** The relays have moved descriptors. */
  moved(): void {
    this.#handBack.moved();
  }

  /** The function was reset by its user, and with it every session. */
  reset(): void {
    this.close("saving");
  }

  /** Nothing is begun any more. */
  dispose(): void {
    this.#closed = true;
    this.stranded.dispose();
    this.#handBack.rest();
  }

  #settle(): void {
    const needed = this.#reasons.size > 0 || this.#always;
    this.#parts().queues.relayNew = needed;
    if (!needed && this.#entering === 0 && !this.#closed) {
      this.#handBack.begin();
      this.#parts().doorbells.stir();
    }
  }

  async #enterAll(signal: AbortSignal): Promise<void> {
    await this.#configured(signal);
    // All are judged before the first one stops.
    for (const pair of this.#parts().queues.pairs) {
      refuseDoubt(this.#parts(), pair);
    }
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one pair after the other
      await this.#configured(signal);
      signal.throwIfAborted();
      const pair = this.#parts().queues.pairs.find(({ relayed }) => !relayed);
      if (pair === undefined && !this.#turns.taken) {
        return;
      }
      // oxlint-disable-next-line no-await-in-loop -- one pair after the other
      await this.#turns.take(() => this.#enterOne(pair, signal));
    }
  }

  /** Another switch may have changed the pair while this one waited for its turn. */
  async #enterOne(pair: QueuePair | undefined, signal: AbortSignal): Promise<void> {
    const parts = this.#parts();
    signal.throwIfAborted();
    if (this.#reasons.size === 0) {
      throw vfError(
        parts.family,
        "ERR_VFMIG_VF_POSITION",
        "shadow mode was closed while pairs went there",
      );
    }
    if (pair === undefined || pair.relayed || !isCurrent(parts, pair)) {
      return;
    }
    try {
      await enter(parts, pair, { log: this.log, signal });
    } catch (error) {
      // A pair that a reset took away needs no relay; the guest's next one has it from the start.
      if (isCurrent(parts, pair)) {
        throw error;
      }
    }
  }

  /** Waits for the PF's answer to what the guest has configured; it says which pairs there are. */
  async #configured(signal: AbortSignal): Promise<void> {
    const { queues, context, family } = this.#parts();
    const limit = context.options.pfTimeoutMs;
    if (!(await waitUntil(context.clock, () => !queues.configuring, limit, signal))) {
      throw vfError(
        family,
        "ERR_VFMIG_VF_POSITION",
        `the PF has not answered the guest's queue configuration within ${limit} ms, so nobody knows its rings`,
        { limit },
      );
    }
  }
}
