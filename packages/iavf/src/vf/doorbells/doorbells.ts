import { type MmapArea, PCI_REGION, type Timer, VfmigError } from "@vfmig/core";
import { QUEUE_TAIL_MASK, rxTail, txTail, VF_REGISTER_COUNT } from "../../registers.ts";
import type { Parts } from "../parts.ts";
import { askedHalves } from "../shadow/pair-requests.ts";
import { noteTxLap, rxLapWillShow, txLapWillShow } from "./laps.ts";
import type { TailReadBack } from "./read-back.ts";

/** Milliseconds until the next look at what keeps the pages trapped: first, and at most. */
const LOOK_MS = 5;
const REST_MS = 500;

/** How a guest rings its queues, for people and reports. */
export interface DoorbellStatus {
  /** The option. */
  readonly wanted: "trapped" | "direct";
  /** `direct`: a user may map the pages of tails and queue vectors. */
  readonly now: "trapped" | "direct";
  /** Why they are what they are. */
  readonly why: string;
}

export interface DoorbellParts {
  readonly parts: () => Parts;
  /** Pages that the base lets a user map; none where the option is not `direct`. */
  readonly areas: readonly MmapArea[];
  readonly readBack: TailReadBack;
}

/**
 * Lets users map the pages of queues' registers while nobody has to see them, and takes them back before
 * somebody has to. What the guest writes there is unseen meanwhile: afterwards its tails are read from
 * the device, so that the pages stay trapped until the device has shown that it gives them back, and
 * until each ring is such that a lap in between will show.
 */
export class Doorbells {
  readonly #parts: () => Parts;
  readonly #areas: readonly MmapArea[];
  readonly #readBack: TailReadBack;
  readonly #closed = new AbortController();
  /** Users may have the pages mapped; also while they are asked to let go. */
  #open = false;
  #trapping: Promise<void> | undefined;
  #timer: Timer | undefined;
  #pause = LOOK_MS;
  /** Why users could not be made to let go, the last time. */
  #kept: string | undefined;

  constructor({ parts, areas, readBack }: DoorbellParts) {
    this.#parts = parts;
    this.#areas = areas;
    this.#readBack = readBack;
  }

  get status(): DoorbellStatus {
    const { doorbells: wanted } = this.#parts().context.options;
    if (!this.#open) {
      return { wanted, now: "trapped", why: this.#obstacle() ?? LAP };
    }
    const why = this.#kept ?? "the device's tails read back as the guest writes them";
    return { wanted, now: "direct", why };
  }

  /** Pages that are trapped although the base lets a user map them. */
  get trapped(): readonly MmapArea[] {
    return this.#open ? [] : this.#areas;
  }

  /**
   * Settles when every access of the guest comes by again; its tails are then known.
   *
   * @throws VfmigError as `SubDriverContext.regions.trap`, where a user does not let go; the guest goes on
   *   as it was
   */
  async trap(signal?: AbortSignal): Promise<void> {
    const others = this.#trapping;
    if (others !== undefined) {
      // Whoever asked first may have little time left: where that fails, users are asked again.
      await until(others, signal).catch(() => {});
    }
    signal?.throwIfAborted();
    if (this.#open) {
      this.#trapping ??= this.#trap();
      await until(this.#trapping, signal);
    }
  }

  /** As {@link trap}, where nobody waits for it. */
  withdraw(): void {
    this.trap().catch((error: unknown) => {
      if (!this.#closed.signal.aborted) {
        this.#parts().context.logger.warn("a user keeps the queues' registers mapped", {
          cause: String(error),
        });
      }
    });
  }

  async #trap(): Promise<void> {
    try {
      const { regions } = this.#parts().context;
      await regions.trap(PCI_REGION.BAR0, this.#areas, this.#closed.signal);
      this.#open = false;
      this.#kept = undefined;
      this.#takeTails();
      this.stir();
    } catch (error) {
      const code = VfmigError.is(error) ? error.code : String(error);
      this.#kept = `a user did not let go of its mappings when it was asked to (${code})`;
      throw error;
    } finally {
      this.#trapping = undefined;
    }
  }

  /** What the guest wrote unseen is what the device has. */
  #takeTails(): void {
    const { queues, registers, context } = this.#parts();
    const { txQueues } = queues.asked;
    const { tails } = queues;
    tails.unseen = false;
    for (let queue = 0; queue < this.#queues; queue++) {
      const tx = ((txQueues >>> queue) & 1) === 1 ? registers.read(txTail(queue)) : GONE;
      const rx = registers.read(rxTail(queue));
      if (tx !== GONE) {
        tails.foundTx(queue, tx & QUEUE_TAIL_MASK);
      }
      if (rx !== GONE) {
        tails.foundRx(queue, rx & QUEUE_TAIL_MASK);
      }
    }
    for (const pair of queues.pairs) {
      noteTxLap(context.memory, pair);
    }
  }

  /** Queues that the PF has given this VF; the registers of others are nobody's to touch. */
  get #queues(): number {
    const { resources } = this.#parts().mailbox.conversation;
    return Math.min(resources?.queuePairs ?? 0, VF_REGISTER_COUNT.queues);
  }

  /** Something has changed that may have kept the pages trapped. */
  stir(): void {
    if (this.#areas.length > 0 && !this.#closed.signal.aborted) {
      this.#timer?.cancel();
      this.#pause = LOOK_MS;
      this.#timer = this.#parts().context.clock.soon(() => this.#look());
    }
  }

  #look(): void {
    this.#timer = undefined;
    const { context, queues } = this.#parts();
    if (this.#open || this.#closed.signal.aborted) {
      return;
    }
    if (this.#obstacle() === undefined && this.#tailsWillTell()) {
      this.#grant();
      return;
    }
    if (queues.pairs.length > 0) {
      this.#timer = context.clock.after(this.#pause, () => this.#look());
      this.#pause = Math.min(2 * this.#pause, REST_MS);
    }
  }

  #grant(): void {
    const { context, queues, registers } = this.#parts();
    const { rxQueues } = queues.asked;
    for (let queue = 0; queue < this.#queues; queue++) {
      const tail = queues.tails.rx(queue);
      // Written while tails were kept from the device, for a queue that does not run yet.
      if (((rxQueues >>> queue) & 1) === 0 && tail !== 0) {
        registers.write(rxTail(queue), tail);
      }
    }
    this.#open = true;
    this.#kept = undefined;
    queues.tails.unseen = true;
    context.regions.untrap(PCI_REGION.BAR0, this.#areas);
    context.logger.debug("users may map the queues' registers", { areas: this.#areas });
  }

  /** What keeps the pages trapped, as far as it can be told without looking into rings. */
  #obstacle(): string | undefined {
    const { context, queues, shadow, session, mailbox } = this.#parts();
    const { doorbells, handBack } = context.options;
    if (doorbells === "trapped") {
      return 'the option doorbells is "trapped"';
    }
    if (this.#areas.length === 0) {
      return "the base lets nobody map the pages of BAR0 that hold the queues' registers";
    }
    if (this.#readBack.mismatch !== undefined) {
      return `${this.#readBack.mismatch}, so that nobody would know the guest's place afterwards`;
    }
    if (shadow.busy || session.phase !== "running") {
      return "the device is being logged, saved or restored";
    }
    if (!queues.pairs.every(({ direct }) => direct)) {
      return handBack
        ? "not every queue pair is on the guest's own rings yet"
        : "queue pairs are relayed, and the option handBack is off";
    }
    if (queues.configuring || !mailbox.online || !this.#runsAsAsked()) {
      return "no queues run, or not yet all that the guest has asked for";
    }
    return this.#readBack.proven ? undefined : this.#readBack.progress;
  }

  /** Some queues run, and none was asked to start or stop. */
  #runsAsAsked(): boolean {
    const { queues, mailbox } = this.#parts();
    const { txQueues, rxQueues } = queues.asked;
    const { txEnabled, rxEnabled } = mailbox.conversation;
    return (txQueues | rxQueues) !== 0 && txQueues === txEnabled && rxQueues === rxEnabled;
  }

  #tailsWillTell(): boolean {
    const { queues, context } = this.#parts();
    return queues.pairs.every((pair) => {
      const { tx, rx } = askedHalves(this.#parts(), pair);
      const tails = { tx: queues.tails.tx(pair.queue), rx: queues.tails.rx(pair.queue) };
      return (
        (!tx ||
          (this.#readBack.checkTx(pair.queue, tails.tx) &&
            txLapWillShow(context.memory, pair, tails.tx))) &&
        (!rx ||
          (this.#readBack.checkRx(pair.queue, tails.rx) &&
            rxLapWillShow(context.memory, pair, tails.rx)))
      );
    });
  }

  /** The VF was reset: users let go, and the device has to show everything again. */
  reset(): void {
    this.#readBack.reset();
    this.withdraw();
  }

  dispose(): void {
    this.#timer?.cancel();
    this.#closed.abort(new Error("the device is closed"));
  }
}

const LAP =
  "of some ring nobody could tell afterwards whether the guest's tail has passed its end; it will be known when it has";

/** What a device reads as that is not there. */
const GONE = 0xffff_ffff;

/** As `promise`, or the signal's reason where that comes first. */
async function until(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await promise;
    return;
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  if (signal.aborted) {
    abort();
  }
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
